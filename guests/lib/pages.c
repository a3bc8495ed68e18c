/**
 * Single pages. The builder maps our image, its own gifts and at least 512 KiB more, up to a 4 MiB border:
 *
 *   | image | [initrd] | P2M | start_info | store | console | page tables | boot stack | free, mapped … | unmapped RAM
 *   VIRT_BASE                                                                         ^ first free
 *
 * We use the mapped part only; what lies beyond has no L1 entries until somebody makes them.
 */
#include "kit.h"

static u64 *free_list; /* each free page holds the address of the next */
static u64 free_count, mapped_end;

static bool mapped(const void *va) {
  u64 *pte = pte_lookup(va);
  return pte && (*pte & PTE_PRESENT);
}

void pages_init(void) {
  u64 first = start_info->pt_base + (start_info->nr_pt_frames + 1) * PAGE_SIZE; /* + the boot stack */
  u64 end = (u64)pfn_to_va(start_info->nr_pages);
  for (mapped_end = first; mapped_end < end && mapped((void *)mapped_end); mapped_end += PAGE_SIZE) {
  }
  for (u64 va = mapped_end; va > first;) page_free((void *)(va -= PAGE_SIZE));
}

void *page_alloc(void) {
  if (!free_list) panic("out of pages");
  u64 *page = free_list;
  free_list = (u64 *)page[0];
  free_count--;
  return memset(page, 0, PAGE_SIZE);
}

void page_free(void *page) {
  *(u64 **)page = free_list;
  free_list = page;
  free_count++;
}

u64 pages_free_count(void) { return free_count; }

u64 first_unmapped_pfn(void) { return va_to_pfn((void *)mapped_end); }
