/**
 * What Xen's services cost, each in picoseconds per operation (ps: a null hypercall may take less than a microsecond).
 * Command line: scale=N (default 1), only=<name>.
 */
#include "kit.h"

static u8 page[PAGE_SIZE] PAGE_ALIGNED;
static u32 port;
static volatile u64 hits;
static u64 *l1;

static void count(u32 p UNUSED, struct regs *regs UNUSED) { hits = hits + 1; }
static bool skip_ud2(struct regs *regs) {
  regs->rip += 2;
  return true;
}

static void null_hypercall(void) { xen_version(XENVER_version, NULL); }
static void event_to_self(void) { event_send(port); }
static void ud2_bounce(void) { __asm__ volatile("ud2"); }
static void update_va_mapping(void) { set_writable(page); }
static void emulated_store(void) {
  u64 *entry = pte_lookup(page);
  WRITE_ONCE(*entry, *entry);
}
static void pin_unpin(void) {
  pin_table(l1, 1);
  unpin_table(l1);
}
static void page_fault(void) {
  u64 value;
  probe_read((void *)0x1000, &value);
}
static void yield(void) { sched_yield(); }
static void timer_arm(void) { timer_set(now() + 1000000000); }

#define BATCH 128
static void mmu_batch(void) {
  static struct mmu_update updates[BATCH];
  u64 address = pte_machine_address(pte_lookup(page));
  for (u32 i = 0; i < BATCH; i++)
    updates[i] = (struct mmu_update){address, make_pte(va_to_mfn(page), i & 1 ? PTE_KERNEL_RW : PTE_KERNEL_RO)};
  xen_mmu_update(updates, BATCH, NULL, DOMID_SELF);
}

static const struct row {
  const char *name;
  void (*once)(void);
  u64 times, per; /* operations in one call */
} rows[] = {
    {"null_hypercall",           null_hypercall,    200000, 1},
    {"event_round_trip",         event_to_self,     50000,  1},
    {"ud2_bounce",               ud2_bounce,        50000,  1},
    {"page_fault_bounce",        page_fault,        50000,  1},
    {"update_va_mapping_invlpg", update_va_mapping, 50000,  1},
    {"emulated_pte_store",       emulated_store,    50000,  1},
    {"mmu_update_in_batch",      mmu_batch,         500,    BATCH},
    {"pin_unpin_l1",             pin_unpin,         5000,   1},
    {"yield_alone",              yield,             50000,  1},
    {"set_timer",                timer_arm,         50000,  1},
};

static void run(const struct row *row, u64 scale) {
  u64 times = row->times * scale, start;
  for (u64 i = 0; i < times / 10; i++) row->once(); /* warm */
  start = now();
  for (u64 i = 0; i < times; i++) row->once();
  u64 elapsed = now() - start;
  bench(row->name, elapsed * 1000 / (times * row->per), "ps");
  if (row->once == null_hypercall) bench("null_hypercalls", times * 1000000000 / elapsed, "per_second");
}

int main(void) {
  char only[32] = "";
  cmdline_get("only", only, sizeof(only));
  event_bind_ipi(0, &port);
  event_bind(port, count);
  trap_set_handler(VEC_UD, skip_ud2);
  timer_init();
  l1 = page_alloc();
  for (u32 i = 0; i < 64; i++) l1[i] = make_pte(va_to_mfn(page), PTE_KERNEL_RO);
  set_readonly(l1);
  for (u32 i = 0; i < ARRAY_SIZE(rows); i++)
    if (!*only || !strcmp(only, rows[i].name)) run(&rows[i], cmdline_number("scale", 1));
  timer_set(0);
  return 0;
}
