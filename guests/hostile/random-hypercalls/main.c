/**
 * Hostile: a million hypercalls with random numbers and arguments: small numbers, pointers to random structures,
 * frames, nonsense.
 * Expected: survives. In this first part only calls that end the run by definition are left out (iret, shutdown,
 * block, down, watchdog, an NMI to itself) or that would only shoot its own foot (its own code and stack as target),
 * and it repairs its own callbacks now and then. With reckless=N it then makes N more that leave nothing out: any
 * outcome is right, as long as it is this domain's alone.
 * Command line: count=N (default 1000000), seed=N, reckless=N.
 */
#include "kit.h"
#include "random.h"

#define PAGES 16
#define WORDS 512
#define USED  12 /* words filled anew for each call; the rest is what earlier calls left */

static u8 sandbox[PAGES + 4][PAGE_SIZE] PAGE_ALIGNED; /* with room behind: answers may be long */
static u64 structure[4 * WORDS] PAGE_ALIGNED;
static u64 succeeded, missing, refused, frames;
static bool reckless;

static u64 random_value(void) {
  switch (random_below(16)) {
    case 0:  return 0;
    case 1:  return ~0UL;
    case 2:  return random_next();
    case 3:  return random_next() & 0xffffffff;
    case 4:  return DOMID_SELF;
    case 5:  return (u64)sandbox[random_below(PAGES)];
    case 6:  return (u64)sandbox[random_below(PAGES)] + random_below(PAGE_SIZE);
    case 7:  return va_to_mfn(sandbox[random_below(PAGES)]);
    case 8:  return va_to_mfn(sandbox[random_below(PAGES)]) << PAGE_SHIFT | random_below(PAGE_SIZE);
    case 9:  return XEN_VIRT_START + random_below(1UL << 43);
    case 10: return (u64)&structure[random_below(WORDS)];
    case 11: return 1UL << random_below(64);
    default: return random_below(32);
  }
}

static void random_structure(void) {
  for (u32 i = 0; i < USED; i++) structure[i] = random_below(3) ? random_value() : random_value() << 32 | (u32)random_value();
}

/** Would this call end the run by definition, or take away the console we report on? */
static bool fatal(u32 number, u64 command) {
  switch (number) {
    case HC_iret:             return true;
    case HC_set_debugreg:     return command == 7 || command == 5; /* DR5 is another name of DR7: a breakpoint of ours would end us */
    case HC_sched_op:         return command != SCHEDOP_yield;
    case 6:                   return command != 0; /* sched_op_compat */
    case HC_vcpu_op:          return command == VCPUOP_down || command == VCPUOP_initialise || command >= VCPUOP_register_vcpu_info;
    case HC_event_channel_op: return command == EVTCHNOP_close || command == EVTCHNOP_reset;
    case 16:                  return true; /* event_channel_op_compat: the same by another name */
    case HC_multicall:        return true; /* may hold any of these */
    default:                  return false;
  }
}

static bool in_sandbox(u64 va) { return va - (u64)sandbox < sizeof(sandbox); }

/** Is this the frame of a page of ours that we need? */
static bool needed(u64 mfn) {
  if (mfn >= frames) return false;
  u64 pfn = mfn_to_pfn(mfn);
  return pfn < start_info->nr_pages && pfn_to_mfn(pfn) == mfn && !in_sandbox((u64)pfn_to_va(pfn));
}

static u64 spare_feet(u64 value) {
  return needed(value) || needed(value >> PAGE_SHIFT) ? va_to_mfn(sandbox[random_below(PAGES)]) << PAGE_SHIFT : value;
}

/** Turns targets that would only break ourselves into targets in the sandbox. */
static u64 aim(u32 number, u64 first) {
  bool takes_frames = number == HC_mmu_update || number == HC_mmuext_op || number == HC_memory_op || number == HC_grant_table_op;
  for (u32 i = 0; takes_frames && i < USED; i++)
    if (structure[i] > 32) structure[i] = spare_feet(structure[i]);
  if (number == HC_update_descriptor) return spare_feet(first);
  if (number == HC_mmuext_op) {
    for (u32 i = 0; i < USED; i += 3) /* an empty page is a valid L4, but nobody can run on it */
      if ((u32)structure[i] == MMUEXT_NEW_BASEPTR) structure[i] = MMUEXT_TLB_FLUSH_LOCAL;
    return random_below(8) ? (u64)structure : XEN_VIRT_START;
  }
  bool takes_address = number == HC_update_va_mapping || number == HC_update_va_mapping_otherdomain;
  bool own = first >= (u64)pfn_to_va(0) && !in_sandbox(first);
  return takes_address && own ? (u64)sandbox[random_below(PAGES)] : first;
}

static void one(void) {
  u32 number;
  u64 first;
  do {
    number = random_below(16) ? (u32)random_below(64) : (u32)random_next();
    first = random_below(4) == 0 ? (u64)structure : random_below(2) ? random_below(32) : random_value();
  } while (!reckless && fatal(number, (u32)first));
  random_structure();
  if (!reckless) first = aim(number, first);
  u64 second = random_below(2) ? (u64)structure : random_value(), third = random_value();
  if (!reckless && (number == HC_update_va_mapping || number == HC_update_va_mapping_otherdomain))
    second = spare_feet(second); /* or the sandbox shows our stack */
  if (!reckless && number == HC_grant_table_op) third %= 64; /* answers into an array: no longer than ours */
  s64 result = hypercall5(number, first, second, third, random_value(), random_value());
  if (result == -ENOSYS) missing++;
  else if (result < 0) refused++;
  else succeeded++;
}

/** Puts back what random calls took from us: they may set handlers, bases and tables as we may. */
static void repair(void) {
  cpu_init(0);
  traps_init();
  struct callback event = {.type = CALLBACK_event};
  extern char event_entry[];
  event.address = (u64)event_entry;
  xen_callback_op(CALLBACKOP_register, &event);
  for (u32 i = 0; i < PAGES; i++) set_writable(sandbox[i]);
  event_unmask(console_port());
}

int main(void) {
  u64 count = cmdline_number("count", 1000000);
  struct machphys_mapping mapping = {0};
  xen_memory_op(MEMOP_machphys_mapping, &mapping);
  frames = mapping.max_mfn + 1;
  random_seed(cmdline_number("seed", 1));
  printk("HOSTILE random-hypercalls: expected: survives\n");
  events_disable();
  for (u64 i = 1; i <= count; i++) {
    one();
    if (i % 4096 == 0) repair();
    if (i % (4096 * 25) == 0) printk("%lu of %lu calls\n", i, count);
  }
  repair();
  success("%lu calls: %lu succeeded, %lu refused, %lu unknown", count, succeeded, refused, missing);
  u64 more = cmdline_number("reckless", 0);
  reckless = more > 0;
  for (u64 i = 0; i < more; i++) one();
  return 0;
}
