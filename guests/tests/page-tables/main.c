/**
 * Direct paging. Page tables are mapped read-only and stay so: every way to a writable mapping of a live one is
 * refused, and every entry that Xen accepts is checked first. A type conflict on an L1 entry is -EBUSY, anything else
 * wrong is -EINVAL. Plain stores to an L1 table are emulated, with the same checks. Pinning needs a frame without
 * writable mapping whose entries are valid, happens once, and unpinning undoes it. Xen's L4 slots cannot be touched.
 * Linear (recursive) L4 entries are allowed when read-only.
 */
#include "kit.h"

static u8 spare[PAGE_SIZE] PAGE_ALIGNED;

static int writable_mappings(void) {
  u64 *l1 = (u64 *)((u64)pte_lookup(spare) & PAGE_MASK);
  s64 result = remap(spare, make_pte(va_to_mfn(l1), PTE_KERNEL_RW));
  CLAIM(result == -EBUSY, "a live L1 mapped writable: %ld", result);
  result = remap(spare, make_pte(va_to_mfn(kernel_l4()), PTE_KERNEL_RW));
  CLAIM(result == -EBUSY, "the live L4 mapped writable: %ld", result);
  result = set_entry(pte_lookup(spare), make_pte(va_to_mfn(l1), PTE_KERNEL_RW));
  CLAIM(result == -EBUSY, "the same by mmu_update: %ld", result);
  CLAIM((*pte_lookup(spare) & PTE_FRAME) >> PAGE_SHIFT == va_to_mfn(spare), "a refused update changed the entry");
  CLAIM(remap(spare, make_pte(va_to_mfn(l1), PTE_KERNEL_RO)) == 0, "a read-only view of an L1 is refused");
  CLAIM(((u64 *)spare)[TABLE_SLOT(spare, 1)] == *pte_lookup(spare), "the view shows something else");
  return set_writable(spare) == 0 ? -1 : failure("cannot go back");
}

static int emulated_writes(void) {
  u64 *pte = pte_lookup(spare), old = *pte;
  CLAIM(probe_write(pte, old & ~PTE_RW), "a store to an L1 entry faults: %lu %lx", trap_seen.vector, trap_seen.error);
  CLAIM(*pte == (old & ~PTE_RW), "the entry is %lx", *pte);
  mmuext(MMUEXT_INVLPG_LOCAL, (u64)spare, 0);
  CLAIM(!probe_write(spare, 1), "the page is still writable");
  CLAIM(probe_write(pte, 0), "cannot clear the entry");
  mmuext(MMUEXT_INVLPG_LOCAL, (u64)spare, 0);
  u64 value;
  CLAIM(!probe_read(spare, &value) && trap_seen.error == 0, "the page is still there");
  CLAIM(probe_write(pte, old) && (*pte & ~(PTE_ACCESSED | PTE_DIRTY)) == (old & ~(PTE_ACCESSED | PTE_DIRTY)), "cannot restore it");
  u64 bad = make_pte(va_to_mfn(kernel_l4()), PTE_KERNEL_RW);
  CLAIM(!probe_write(pte, bad), "a store made a page table writable");
  CLAIM(trap_seen.vector == VEC_PF && trap_seen.error == (PF_WRITE | PF_PRESENT), "refused as vector %lu error %lx",
        trap_seen.vector, trap_seen.error);
  u64 seen = old;
  __asm__ volatile("lock cmpxchgq %2, %1" : "+a"(seen), "+m"(*pte) : "r"(old & ~PTE_DIRTY) : "memory", "cc");
  CLAIM(seen == old || seen == *pte, "cmpxchg on an L1 entry read %lx", seen);
  CLAIM(probe_write(pte, old), "cannot restore it again");
  CLAIM(!probe_write(kernel_l4(), kernel_l4()[0]), "a store to an L4 entry was emulated");
  return -1;
}

/** Tries to pin a table with one entry. */
static s64 pin_with(u64 *table, int level, u64 entry) {
  set_writable(table);
  table[0] = entry;
  s64 result = set_readonly(table);
  return result ? result : pin_table(table, level);
}

static int pinning(void) {
  u64 *table = page_alloc();
  s64 result = pin_table(table, 1);
  CLAIM(result == -EINVAL, "a writable page was pinned: %ld", result);
  CLAIM(set_readonly(table) == 0 && pin_table(table, 1) == 0, "cannot pin an empty L1");
  CLAIM(pin_table(table, 1) == -EINVAL, "pinned twice");
  CLAIM(set_writable(table) == -EBUSY, "a pinned L1 became writable");
  CLAIM(set_entry(&table[3], make_pte(va_to_mfn(spare), PTE_KERNEL_RO)) == 0, "cannot fill a pinned L1");
  CLAIM((table[3] & PTE_USER) != 0, "Xen must add USER: a PV kernel runs in ring 3");
  CLAIM(unpin_table(table) == 0, "unpin");
  CLAIM(unpin_table(table) == -EINVAL, "unpinned twice");
  CLAIM(set_writable(table) == 0, "an unpinned table stays read-only");

  memset(table, 0, PAGE_SIZE);
  result = pin_with(table, 1, make_pte(0xffffffffff, PTE_KERNEL_RO));
  CLAIM(result == -EINVAL, "an L1 with a frame that is nowhere was pinned: %ld", result);
  result = pin_with(table, 1, make_pte(va_to_mfn(kernel_l4()), PTE_KERNEL_RW));
  CLAIM(result == -EBUSY, "an L1 with a writable view of the L4 was pinned: %ld", result);
  result = pin_with(table, 2, make_pte(va_to_mfn(spare), PTE_TABLE | PTE_PSE));
  CLAIM(result == -EINVAL, "an L2 with a superpage was pinned: %ld", result);
  CLAIM(set_writable(table) == 0, "a table refused stays locked");
  page_free(table);
  return -1;
}

static int top_level(void) {
  u64 *l4 = kernel_l4(), mfn = va_to_mfn(l4);
  s64 result = set_entry(&l4[256], 0);
  CLAIM(result == -EINVAL || result == -EPERM, "Xen's slot 256 written: %ld", result);
  result = set_entry(&l4[271], make_pte(mfn, PTE_KERNEL_RO));
  CLAIM(result == -EINVAL || result == -EPERM, "Xen's slot 271 written: %ld", result);
  CLAIM(set_entry(&l4[100], make_pte(mfn, PTE_PRESENT | PTE_USER | PTE_ACCESSED)) == 0, "a read-only linear L4 entry is refused");
  u64 *linear = (u64 *)(100UL << 39 | 100UL << 30 | 100UL << 21 | 100UL << 12);
  CLAIM((linear[100] & PTE_FRAME) >> PAGE_SHIFT == mfn, "the linear map shows %lx", linear[100]);
  CLAIM(set_entry(&l4[100], 0) == 0, "cannot take it away");
  result = set_entry(&l4[100], make_pte(mfn, PTE_TABLE));
  CLAIM(result == -EINVAL, "a writable linear L4 entry: %ld", result);
  result = set_entry(&l4[100], make_pte(va_to_mfn(spare), PTE_TABLE));
  CLAIM(result == -EINVAL, "a writable page became an L3: %ld", result);
  CLAIM(mmuext(MMUEXT_NEW_BASEPTR, va_to_mfn(spare), 0) == -EINVAL, "a plain page became CR3");
  CLAIM(mmuext(99, 0, 0) == -ENOSYS, "mmuext 99");
  CLAIM(mmuext(MMUEXT_PIN_L1_TABLE, 0xffffffffff, 0) == -EINVAL, "pin of a frame that is nowhere");
  return -1;
}

static int batch(void) {
  u64 *page = page_alloc(), pte = pte_machine_address(pte_lookup(spare));
  u32 done = 99;
  struct mmu_update updates[] = {{va_to_mfn(page) << PAGE_SHIFT, 0x1234}, /* a plain page: a plain store */
                                 {pte, make_pte(va_to_mfn(spare), PTE_KERNEL_RO)},
                                 {pte, make_pte(va_to_mfn(kernel_l4()), PTE_KERNEL_RW)},
                                 {pte, make_pte(va_to_mfn(spare), PTE_KERNEL_RW)}};
  s64 result = xen_mmu_update(updates, 4, &done, DOMID_SELF);
  CLAIM(result == -EBUSY && done == 2, "a batch with a bad third entry: %ld after %u", result, done);
  CLAIM(page[0] == 0x1234, "the plain store is missing");
  CLAIM(xen_mmu_update(updates + 3, 1, &done, DOMID_SELF) == 0 && done == 1, "the fourth alone");
  CLAIM(xen_mmu_update((void *)XEN_VIRT_START, 1, &done, DOMID_SELF) == -EFAULT, "requests in Xen's range");
  CLAIM(xen_update_va_mapping(XEN_VIRT_START, 0, 0) == -EINVAL, "update_va_mapping in Xen's range");
  CLAIM(xen_update_va_mapping(100UL << 39, 0, 0) == -EINVAL, "update_va_mapping without tables");
  return -1;
}

int main(void) {
  if (writable_mappings() >= 0 || emulated_writes() >= 0 || pinning() >= 0 || top_level() >= 0 || batch() >= 0) return 0;
  return success("writable mappings, emulated stores, pins, top level, batches");
}
