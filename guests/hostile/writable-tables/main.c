/**
 * Hostile: wants to write its own live page tables, by every road it knows, and checks after each that it cannot.
 * Expected: survives; every attempt is refused.
 */
#include "kit.h"

static u8 window[PAGE_SIZE] PAGE_ALIGNED;
static u32 attempts;

/** The attempt failed, or at least nothing can be written through the window. */
static bool refused(const u64 *table) {
  attempts++;
  mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0, 0);
  u64 *pte = pte_lookup(window), shown = (*pte & PTE_FRAME) >> PAGE_SHIFT;
  bool ok = shown != va_to_mfn(table) || !(*pte & PTE_RW);
  set_writable(window);
  return ok;
}

static void by_grant(const u64 *table) {
  u32 handle;
  s64 status;
  void *view = grant_map(own_domid(), grant_access(own_domid(), va_to_mfn(table), false), &handle, &status);
  if (!view) return;
  trap_seen.hit = false;
  if (probe_write(view, 0)) panic("a granted page table was written");
  grant_unmap(view, handle);
}

static int attack(u64 *table, int level) {
  u64 bad = make_pte(va_to_mfn(table), PTE_KERNEL_RW);
  remap(window, bad);
  CLAIM(refused(table), "update_va_mapping");
  set_entry(pte_lookup(window), bad);
  CLAIM(refused(table), "mmu_update");
  probe_write(pte_lookup(window), bad);
  CLAIM(refused(table), "an emulated store");
  set_entry(pte_lookup(window), bad & ~PTE_RW);
  probe_write(pte_lookup(window), bad);
  CLAIM(refused(table), "read-only first, then a store of RW");
  remap(window, bad & ~PTE_RW);
  u8 *low = (u8 *)pte_lookup(window);
  PROBE("orb $2, (%0)", "r"(low));
  CLAIM(refused(table), "one byte of an entry");
  struct multicall_entry calls[] = {{.op = HC_update_va_mapping, .args = {(u64)window, bad, UVMF_INVLPG}},
                                    {.op = HC_update_va_mapping, .args = {(u64)window, bad, UVMF_INVLPG}}};
  xen_multicall(calls, 2);
  CLAIM(refused(table), "multicall");
  unpin_table(table); /* in use all the same */
  remap(window, bad);
  CLAIM(refused(table), "unpin first");
  by_grant(table);
  if (level > 1) CLAIM(!probe_write(table, table[0]), "a plain store to level %d", level); /* only L1 stores are emulated */
  return -1;
}

int main(void) {
  printk("HOSTILE writable-tables: expected: survives\n");
  grants_init();
  for (int level = 1; level <= 4; level++) {
    u64 *entry = table_entry(kernel_l4(), window, level);
    if (attack((u64 *)((u64)entry & PAGE_MASK), level) >= 0) return 0;
  }
  return success("%u attempts on 4 tables, all refused", attempts);
}
