/**
 * hello: the guest to talk to. It greets with what start_info and xen_version say, then is a small shell on the PV console.
 *
 * ABI shown: start_info (xen.h), the console ring and its event channel (io/console.h), xen_version, XenStore reads, and the
 * orderly end: the toolstack writes control/shutdown in XenStore, the guest acknowledges by writing "" and then shuts down.
 */
#include "kit.h"

static void greet(void) {
  u32 version = (u32)xen_version(XENVER_version, NULL);
  char extra[16] = "";
  xen_version(XENVER_extraversion, extra);
  printk("\nHello from domain %u.\n", own_domid());
  printk("Xen %u.%u%s, %s, %lu MiB, %lu pages free.\n", version >> 16, version & 0xffff, extra, start_info->magic,
         start_info->nr_pages >> 8, pages_free_count());
  printk("Command line: \"%s\". Type help.\n", start_info->cmd_line);
}

/* ---- commands: each gets the rest of its line ------------------------------------------------ */

static void do_help(char *rest);
static void do_echo(char *rest) { printk("%s\n", rest); }

static void do_mem(char *rest UNUSED) {
  printk("%lu pages of RAM, %lu mapped and free, %lu not mapped\n", start_info->nr_pages, pages_free_count(),
         start_info->nr_pages - first_unmapped_pfn());
  printk("L4 at mfn 0x%lx, %lu page-table frames, P2M at %p\n", va_to_mfn(kernel_l4()), start_info->nr_pt_frames,
         (void *)start_info->mfn_list);
}

static void do_time(char *rest UNUSED) {
  u64 ns = now();
  printk("up %lu.%09lu s, wall clock %lu\n", ns / 1000000000, ns % 1000000000, wallclock_seconds());
}

static void do_xs(char *path) {
  char value[1024];
  s64 n = xs_read(path, value, sizeof(value));
  if (n < 0) {
    printk("%s: error %ld\n", path, n);
    return;
  }
  printk("%s = \"%s\"\n", path, value);
  n = xs_list(path, value, sizeof(value));
  for (char *name = value; name < value + n; name += strlen(name) + 1) printk("  %s\n", name);
}

static void do_hypercall(char *rest) {
  u64 number;
  if (!parse_number(rest, &number)) printk("hypercall <number>\n");
  else printk("hypercall %lu = %ld\n", number, HYPERCALL1(number, 0));
}

static void do_crash(char *rest UNUSED) {
  printk("jumping to address 0\n");
  ((void (*)(void))0)();
}

static void do_halt(char *rest UNUSED) {
  printk("bye\n");
  console_flush();
  shutdown(SHUTDOWN_poweroff);
}

static void do_reboot(char *rest UNUSED) {
  printk("rebooting\n");
  console_flush();
  shutdown(SHUTDOWN_reboot);
}

static const struct command {
  const char *name, *help;
  void (*run)(char *rest);
} commands[] = {
    {"help",      "this list",                          do_help},
    {"echo",      "text: says it back",                 do_echo},
    {"mem",       "pages and page tables",              do_mem},
    {"time",      "system time and wall clock",         do_time},
    {"xs",        "path: reads a XenStore node",        do_xs},
    {"hypercall", "n: calls hypercall n with 0",        do_hypercall},
    {"crash",     "jumps to address 0",                 do_crash},
    {"halt",      "powers off",                         do_halt},
    {"reboot",    "asks the toolstack to start it anew", do_reboot},
};

static void do_help(char *rest UNUSED) {
  for (u32 i = 0; i < ARRAY_SIZE(commands); i++) printk("  %-10s %s\n", commands[i].name, commands[i].help);
}

static void run_line(char *line) {
  char *rest = strchr(line, ' ');
  if (rest) *rest++ = 0;
  for (u32 i = 0; i < ARRAY_SIZE(commands); i++) {
    if (strcmp(line, commands[i].name)) continue;
    commands[i].run(rest ? rest : "");
    return;
  }
  if (*line) printk("%s: no such command; try help\n", line);
}

/* ---- the toolstack's wishes ------------------------------------------------------------------ */

static void obey_shutdown(void) {
  char path[64], token[32], wish[32];
  while (xs_next_watch(path, sizeof(path), token, sizeof(token))) {
    if (xs_read("control/shutdown", wish, sizeof(wish)) <= 0) continue;
    xs_write("control/shutdown", "");
    printk("\nasked to %s\n", wish);
    if (!strcmp(wish, "reboot")) do_reboot(wish);
    if (!strcmp(wish, "poweroff") || !strcmp(wish, "halt")) do_halt(wish);
  }
}

/** One edited line, while the toolstack may interrupt at any time. */
static void read_line(char *line, size_t size) {
  size_t n = 0;
  for (;;) {
    int c;
    wait_until((c = console_getc()) >= 0 || xs_watch_waits());
    if (c < 0) obey_shutdown();
    if (c == '\r' || c == '\n') break;
    if ((c == 0x7f || c == '\b') && n) {
      n--;
      printk("\b \b");
    } else if (c >= ' ' && c < 0x7f && n + 1 < size) {
      line[n++] = (char)c;
      printk("%c", c);
    }
  }
  line[n] = 0;
  printk("\n");
}

int main(void) {
  char line[256];
  greet();
  if (xs_init()) xs_watch_later("control/shutdown", "shutdown"); /* the prompt does not wait for the store */
  for (;;) {
    printk("hello> ");
    read_line(line, sizeof(line));
    run_line(line);
  }
}
