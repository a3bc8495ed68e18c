/**
 * Page tables under direct paging: the tables hold machine frames, Xen checks every change, and tables are mapped read-only.
 * So we read them through our own mappings and write them by hypercall.
 *
 *   pfn (ours, 0 … nr_pages-1) ──P2M: start_info->mfn_list──▶ mfn (machine) ──M2P: at XEN_M2P_START──▶ pfn
 */
#include "kit.h"

extern char VIRT_BASE[];

u64 va_to_pfn(const void *va) { return ((u64)va - (u64)VIRT_BASE) >> PAGE_SHIFT; }
void *pfn_to_va(u64 pfn) { return VIRT_BASE + (pfn << PAGE_SHIFT); }
u64 pfn_to_mfn(u64 pfn) { return ((const u64 *)start_info->mfn_list)[pfn]; }
u64 mfn_to_pfn(u64 mfn) { return ((const u64 *)XEN_M2P_START)[mfn]; }
u64 va_to_mfn(const void *va) { return pfn_to_mfn(va_to_pfn(va)); }
u64 make_pte(u64 mfn, u64 flags) { return mfn << PAGE_SHIFT | flags; }
u64 *kernel_l4(void) { return (u64 *)start_info->pt_base; }

static u64 *table_of(u64 entry) { return pfn_to_va(mfn_to_pfn((entry & PTE_FRAME) >> PAGE_SHIFT)); }

u64 *table_entry(u64 *table, const void *va, int level) {
  for (int at = 4;; at--) {
    u64 *entry = &table[TABLE_SLOT(va, at)];
    if (at == level) return entry;
    if (!(*entry & PTE_PRESENT)) return NULL;
    table = table_of(*entry);
  }
}

u64 *pte_lookup(const void *va) { return table_entry(kernel_l4(), va, 1); }

u64 pte_machine_address(const u64 *pte) {
  return (va_to_mfn(pte) << PAGE_SHIFT) | ((u64)pte & (PAGE_SIZE - 1));
}

s64 remap(const void *va, u64 pte) { return xen_update_va_mapping((u64)va, pte, UVMF_INVLPG); }
s64 set_readonly(const void *page) { return remap(page, make_pte(va_to_mfn(page), PTE_KERNEL_RO)); }
s64 set_writable(const void *page) { return remap(page, make_pte(va_to_mfn(page), PTE_KERNEL_RW)); }

s64 set_entry(u64 *entry, u64 value) {
  struct mmu_update update = {pte_machine_address(entry) | MMU_NORMAL_PT_UPDATE, value};
  return xen_mmu_update(&update, 1, NULL, DOMID_SELF);
}

s64 mmuext(u32 cmd, u64 arg1, u64 arg2) {
  struct mmuext_op op = {.cmd = cmd, .arg1 = arg1, .arg2 = arg2};
  return xen_mmuext_op(&op, 1, NULL, DOMID_SELF);
}

s64 pin_table(const u64 *table, int level) {
  return mmuext(MMUEXT_PIN_L1_TABLE + (u32)level - 1, va_to_mfn(table), 0);
}
s64 unpin_table(const u64 *table) { return mmuext(MMUEXT_UNPIN_TABLE, va_to_mfn(table), 0); }
s64 set_user_base(const u64 *l4) { return mmuext(MMUEXT_NEW_USER_BASEPTR, l4 ? va_to_mfn(l4) : 0, 0); }

/** Borrows the address of a free page; its own frame waits in the P2M until unmap_mfn. */
void *map_mfn(u64 mfn, u64 flags) {
  void *va = page_alloc();
  if (remap(va, make_pte(mfn, flags)) == 0) return va;
  page_free(va);
  return NULL;
}

void unmap_mfn(void *va) {
  set_writable(va);
  page_free(va);
}

u64 *user_space_create(void) {
  u64 *l4 = page_alloc();
  if (set_readonly(l4) != 0 || pin_table(l4, 4) != 0) panic("cannot pin a user L4");
  return l4;
}

/** The table below `entry`, made if missing. A new one must be read-only before an entry may point at it. */
static u64 *next_table(u64 *entry) {
  if (*entry & PTE_PRESENT) return table_of(*entry);
  u64 *table = page_alloc();
  if (set_readonly(table) != 0) return NULL;
  return set_entry(entry, make_pte(va_to_mfn(table), PTE_TABLE)) == 0 ? table : NULL;
}

s64 user_space_map(u64 *l4, u64 va, void *page, u64 flags) {
  u64 *table = l4;
  for (int level = 4; level > 1; level--) {
    table = next_table(&table[TABLE_SLOT(va, level)]);
    if (!table) return -EINVAL;
  }
  return set_entry(&table[TABLE_SLOT(va, 1)], make_pte(va_to_mfn(page), flags));
}

/** Gives back every table, after Xen let go of them; the pages they mapped belong to the caller. */
static void free_tables(u64 *table, int level) {
  for (int i = 0; level > 1 && i < TABLE_ENTRIES; i++) {
    bool ours = level < 4 || i < 256 || i > 271; /* Xen's slots of an L4 are none of our business */
    if (ours && (table[i] & PTE_PRESENT)) free_tables(table_of(table[i]), level - 1);
  }
  if (set_writable(table) == 0) page_free(table);
}

void user_space_destroy(u64 *l4) {
  if (unpin_table(l4) == 0) free_tables(l4, 4);
}
