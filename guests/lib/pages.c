/**
 * Single pages. The builder maps our image, its own gifts and at least 512 KiB more, up to a 4 MiB border:
 *
 *   | image | [initrd] | P2M | start_info | store | console | page tables | boot stack | free, mapped … | unmapped RAM
 *   VIRT_BASE                                                                         ^ first free
 *
 * We use the mapped part only; what lies beyond has no L1 entries until somebody makes them.
 */
#include "kit.h"

static u64 *free_list; /* each page that was given back holds the address of the next */
static u64 listed, fresh, mapped_end;

/** The end of the mapped run of pages from `va` on. */
static u64 end_of_mapping(u64 va) {
  for (;;) {
    u64 *pte = pte_lookup((void *)va);
    if (!pte) return va;
    do {
      if (!(*pte & PTE_PRESENT)) return va;
      va += PAGE_SIZE;
    } while ((u64)++pte & ~PAGE_MASK); /* to the end of this L1 table */
  }
}

void pages_init(void) {
  fresh = start_info->pt_base + (start_info->nr_pt_frames + 1) * PAGE_SIZE; /* + the boot stack */
  mapped_end = end_of_mapping(fresh);
}

/** Fresh pages are not touched before they are needed: a small domain costs its host few frames. */
static void *take_page(void) {
  u64 *page = free_list;
  if (page) {
    free_list = (u64 *)page[0];
    listed--;
    return page;
  }
  if (fresh == mapped_end) panic("out of pages");
  page = (u64 *)fresh;
  fresh += PAGE_SIZE;
  return page;
}

void *page_alloc(void) { return memset(take_page(), 0, PAGE_SIZE); }

void page_free(void *page) {
  *(u64 **)page = free_list;
  free_list = page;
  listed++;
}

u64 pages_free_count(void) { return listed + (mapped_end - fresh) / PAGE_SIZE; }

u64 first_unmapped_pfn(void) { return va_to_pfn((void *)mapped_end); }
