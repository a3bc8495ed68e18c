/** From the first C instruction to main(): one call per line. */
#include "kit.h"

const struct start_info *start_info;
struct shared_info *shared_info;

static u8 shared_info_page[PAGE_SIZE] PAGE_ALIGNED;

bool is_dom0(void) { return start_info->flags & SIF_INITDOMAIN; }

static void map_shared_info(void) {
  u64 pte = start_info->shared_info | PTE_KERNEL_RW;
  if (xen_update_va_mapping((u64)shared_info_page, pte, UVMF_INVLPG) != 0) emergency_print("cannot map shared_info\n");
  shared_info = (struct shared_info *)shared_info_page;
}

void kit_start(const struct start_info *info) {
  start_info = info;
  map_shared_info();  /* the page we and Xen both see */
  cpu_init(0);        /* which vCPU runs here */
  traps_init();       /* a handler for every vector */
  events_init();      /* everything masked, upcalls on */
  console_init();     /* printk works from here */
  pages_init();       /* memory after the boot image */
  int result = main();
  console_flush();
  shutdown(result == 0 ? SHUTDOWN_poweroff : SHUTDOWN_crash);
}

/** Finds `key=value` as a whole word of the command line. */
bool cmdline_get(const char *key, char *value, size_t size) {
  size_t n = strlen(key);
  for (const char *at = start_info->cmd_line; *at;) {
    const char *end = at;
    while (*end && *end != ' ') end++;
    if (!strncmp(at, key, n) && at[n] == '=') {
      size_t length = (size_t)(end - (at + n + 1));
      strlcpy(value, at + n + 1, length + 1 < size ? length + 1 : size);
      return true;
    }
    at = *end ? end + 1 : end;
  }
  return false;
}

u64 cmdline_number(const char *key, u64 fallback) {
  char text[32];
  u64 value;
  return cmdline_get(key, text, sizeof(text)) && parse_number(text, &value) ? value : fallback;
}
