/**
 * Ballooning: decrease_reservation takes frames that nothing maps, the domain's count falls, and the frame is no
 * longer ours to map; populate_physmap gives a frame for a PFN, sets the M2P, and the count rises again, up to the
 * maximum.
 */
#include "kit.h"

static u64 reservation(u32 which) {
  u16 self = DOMID_SELF;
  return (u64)xen_memory_op(which, &self);
}

int main(void) {
  void *page = page_alloc(), *window = page_alloc();
  u64 *p2m = (u64 *)start_info->mfn_list, pfn = va_to_pfn(page), old = p2m[pfn], extent = old;
  u64 before = reservation(MEMOP_current_reservation), maximum = reservation(MEMOP_maximum_reservation);
  CLAIM(before >= start_info->nr_pages && maximum >= before, "%lu of %lu pages", before, maximum);

  CLAIM(remap(page, 0) == 0, "cannot unmap a page");
  struct memory_reservation op = {.extents = &extent, .nr_extents = 1, .domid = DOMID_SELF};
  CLAIM(xen_memory_op(MEMOP_decrease_reservation, &op) == 1, "decrease_reservation");
  CLAIM(reservation(MEMOP_current_reservation) == before - 1, "the count did not fall");
  s64 result = remap(window, make_pte(old, PTE_KERNEL_RW));
  CLAIM(result < 0, "a frame given away can still be mapped");

  extent = pfn;
  CLAIM(xen_memory_op(MEMOP_populate_physmap, &op) == 1, "populate_physmap");
  CLAIM(reservation(MEMOP_current_reservation) == before, "the count did not rise");
  CLAIM(mfn_to_pfn(extent) == pfn, "frame 0x%lx has M2P %lx, not %lx", extent, mfn_to_pfn(extent), pfn);
  p2m[pfn] = extent;
  CLAIM(remap(window, make_pte(extent, PTE_KERNEL_RW)) == 0, "the new frame cannot be mapped");
  *(u64 *)window = 1;
  CLAIM(set_writable(window) == 0 && set_writable(page) == 0 && *(u64 *)page == 1, "cannot go back");

  extent = 0xffffffffff;
  CLAIM(xen_memory_op(MEMOP_decrease_reservation, &op) == 0, "gave away a frame that is nowhere");
  op.extents = (void *)XEN_VIRT_START;
  result = xen_memory_op(MEMOP_populate_physmap, &op);
  CLAIM(result <= 0, "extents in Xen's range: %ld", result);
  CLAIM(xen_memory_op(63, &op) == -ENOSYS, "memory_op 63");
  return success("%lu pages of at most %lu, one given and taken", before, maximum);
}
