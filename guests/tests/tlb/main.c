/**
 * Translations follow the tables: after update_va_mapping with INVLPG, after mmu_update and a flush, after a store to
 * an L1 entry and INVLPG, after a change of an L2 entry and a TLB flush, and after NEW_BASEPTR, the next access goes
 * where the tables say. Two addresses of one frame show the same bytes. Accessed and dirty bits appear in the tables.
 */
#include "kit.h"

#define WINDOW (100UL << 39) /* an address range of our own, in an unused L4 slot */

static u8 first[PAGE_SIZE] PAGE_ALIGNED, second[PAGE_SIZE] PAGE_ALIGNED;

static u64 look(u64 va) { return *(volatile u64 *)va; }
static u64 entry_for(const void *page) { return make_pte(va_to_mfn(page), PTE_KERNEL_RW); }

static int level_one(void) {
  u64 *pte = table_entry(kernel_l4(), (void *)WINDOW, 1);
  CLAIM(look(WINDOW) == 1, "the window shows %lu", look(WINDOW));
  CLAIM(remap((void *)WINDOW, entry_for(second)) == 0 && look(WINDOW) == 2, "after update_va_mapping: %lu", look(WINDOW));
  CLAIM(set_entry(pte, entry_for(first)) == 0 && mmuext(MMUEXT_INVLPG_LOCAL, WINDOW, 0) == 0 && look(WINDOW) == 1,
        "after mmu_update: %lu", look(WINDOW));
  WRITE_ONCE(*pte, entry_for(second));
  mmuext(MMUEXT_INVLPG_LOCAL, WINDOW, 0);
  CLAIM(look(WINDOW) == 2, "after a store to the entry: %lu", look(WINDOW));
  *(volatile u64 *)WINDOW = 22;
  CLAIM(*(volatile u64 *)second == 22, "two addresses of one frame differ");
  *(volatile u64 *)second = 2;
  return -1;
}

static int accessed_and_dirty(void) {
  u64 *pte = table_entry(kernel_l4(), (void *)WINDOW, 1), bare = make_pte(va_to_mfn(first), PTE_PRESENT | PTE_RW);
  CLAIM(remap((void *)WINDOW, bare) == 0 && !(READ_ONCE(*pte) & (PTE_ACCESSED | PTE_DIRTY)), "a fresh entry is %lx", READ_ONCE(*pte));
  look(WINDOW);
  CLAIM((READ_ONCE(*pte) & (PTE_ACCESSED | PTE_DIRTY)) == PTE_ACCESSED, "after a read: %lx", READ_ONCE(*pte));
  *(volatile u64 *)WINDOW = 1;
  CLAIM((READ_ONCE(*pte) & (PTE_ACCESSED | PTE_DIRTY)) == (PTE_ACCESSED | PTE_DIRTY), "after a write: %lx", READ_ONCE(*pte));
  return -1;
}

static int level_two(void) {
  u64 *l2_entry = table_entry(kernel_l4(), (void *)WINDOW, 2), old = *l2_entry, *other = page_alloc();
  other[0] = entry_for(second);
  CLAIM(look(WINDOW) == 1, "before: %lu", look(WINDOW));
  CLAIM(set_readonly(other) == 0 && set_entry(l2_entry, make_pte(va_to_mfn(other), PTE_TABLE)) == 0, "cannot switch L1 tables");
  mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0, 0);
  CLAIM(look(WINDOW) == 2, "after another L1 table: %lu", look(WINDOW));
  u64 value;
  CLAIM(set_entry(l2_entry, 0) == 0 && mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0, 0) == 0 && !probe_read((void *)WINDOW, &value),
        "an L2 entry taken away still translates");
  CLAIM(set_entry(l2_entry, old) == 0, "cannot put it back");
  mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0, 0);
  CLAIM(look(WINDOW) == 1, "after the old L1 table: %lu", look(WINDOW));
  return -1;
}

/** A second L4 that is the same but for our window. */
static int base_pointer(void) {
  u64 *l4 = kernel_l4(), *twin = page_alloc();
  for (u32 i = 0; i < TABLE_ENTRIES; i++)
    if (i < 256 || i > 271) twin[i] = l4[i];
  twin[100] = 0;
  CLAIM(set_readonly(twin) == 0 && pin_table(twin, 4) == 0, "cannot pin a second L4");
  CLAIM(look(WINDOW) == 1, "before: %lu", look(WINDOW));
  CLAIM(mmuext(MMUEXT_NEW_BASEPTR, va_to_mfn(twin), 0) == 0, "NEW_BASEPTR");
  u64 value;
  bool there = probe_read((void *)WINDOW, &value);
  CLAIM(mfn_to_pfn(va_to_mfn(first)) == va_to_pfn(first), "the M2P is gone under the second L4");
  CLAIM(mmuext(MMUEXT_NEW_BASEPTR, va_to_mfn(l4), 0) == 0, "cannot go back");
  CLAIM(!there, "the window survived a change of L4");
  CLAIM(look(WINDOW) == 1, "after: %lu", look(WINDOW));
  return unpin_table(twin) == 0 && set_writable(twin) == 0 ? -1 : failure("the second L4 cannot be given back");
}

int main(void) {
  *(u64 *)first = 1;
  *(u64 *)second = 2;
  CLAIM(user_space_map(kernel_l4(), WINDOW, first, PTE_KERNEL_RW) == 0, "cannot map the window");
  if (level_one() >= 0 || accessed_and_dirty() >= 0 || level_two() >= 0 || base_pointer() >= 0) return 0;
  return success("L1, L2, L4 changes, aliases, accessed and dirty");
}
