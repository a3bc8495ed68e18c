/**
 * Grants, to ourselves: a frame granted to domain D can be mapped by D at an L1 entry of its choice; while it is
 * mapped the entry says so; a read-only grant maps read-only only; unmapping needs the handle and the address; every
 * mistake has its own status.
 */
#include "kit.h"

static s16 try_map(void *va, u16 dom, u32 ref, u32 flags, u32 *handle) {
  remap(va, 0);
  struct gnttab_map map = {.host_addr = (u64)va, .flags = flags, .ref = ref, .dom = dom};
  if (xen_grant_table_op(GNTTABOP_map_grant_ref, &map, 1) != 0) return 1;
  *handle = map.handle;
  return map.status;
}

static s16 try_copy(u16 dom, u32 ref, void *to, u16 offset, u16 length) {
  struct gnttab_copy copy = {.source = {.u.ref = ref, .domid = dom, .offset = offset},
                             .dest = {.u.gmfn = va_to_mfn(to), .domid = DOMID_SELF},
                             .len = length,
                             .flags = GNTCOPY_source_gref};
  return xen_grant_table_op(GNTTABOP_copy, &copy, 1) == 0 ? copy.status : 1;
}

static int mapping(u16 self) {
  u64 *page = page_alloc(), *window = page_alloc(), *view;
  u32 ref = grant_access(self, va_to_mfn(page), false), handle;
  s64 status;
  page[0] = 0x1234;
  CLAIM((view = grant_map(self, ref, &handle, &status)), "map: %ld", status);
  CLAIM(view[0] == 0x1234, "the mapping shows %lx", view[0]);
  view[1] = 0x5678;
  CLAIM(page[1] == 0x5678, "a store through the mapping is lost");
  CLAIM(!grant_end(ref), "a mapped grant can be ended");
  CLAIM(grant_unmap(window, handle) != 0, "unmapped at the wrong address");
  CLAIM(grant_unmap(view, handle) == 0, "unmap");
  CLAIM(grant_unmap(view, handle) == GNTST_bad_handle, "unmapped twice");
  CLAIM(grant_end(ref), "an unmapped grant cannot be ended");
  CLAIM(try_map(window, self, ref, GNTMAP_host_map, &handle) < 0, "an ended grant was mapped");
  return -1;
}

static int errors(u16 self) {
  u64 *page = page_alloc(), *window = page_alloc();
  u32 handle, ref = grant_access(self, va_to_mfn(page), true);
  CLAIM(try_map(window, self, ref, GNTMAP_host_map, &handle) == GNTST_general_error, "a read-only grant was mapped writable");
  CLAIM(try_map(window, self, ref, GNTMAP_host_map | GNTMAP_readonly, &handle) == GNTST_okay, "cannot map it read-only");
  CLAIM(!probe_write(window, 1), "a read-only mapping is writable");
  CLAIM(remap(window, make_pte(va_to_mfn(window), PTE_KERNEL_RW)) == 0, "cannot overwrite the mapping's entry");
  struct gnttab_unmap unmap = {.host_addr = (u64)window, .handle = handle};
  xen_grant_table_op(GNTTABOP_unmap_grant_ref, &unmap, 1);
  CLAIM(unmap.status != GNTST_okay, "unmapped an entry that was already replaced");
  CLAIM(try_map(window, self, 100000, GNTMAP_host_map, &handle) == GNTST_bad_gntref, "reference 100000");
  CLAIM(try_map(window, 0x6000, ref, GNTMAP_host_map, &handle) == GNTST_bad_domain, "domain 0x6000");
  CLAIM(try_map(window, self, ref, 0, &handle) != GNTST_okay, "a mapping of no kind");
  return -1;
}

static int copying(u16 self) {
  u8 *from = page_alloc(), *to = page_alloc();
  u32 ref = grant_access(self, va_to_mfn(from), true);
  memcpy(from + 100, "grant copy", 11);
  s16 status = try_copy(self, ref, to, 100, 11);
  CLAIM(status == GNTST_okay && !strcmp((char *)to, "grant copy"), "copy: status %d, \"%s\"", status, (char *)to);
  CLAIM(try_copy(self, ref, to, 4090, 100) != GNTST_okay, "a copy across the end of the page");
  CLAIM(try_copy(self, 100000, to, 0, 8) == GNTST_bad_gntref, "copy of reference 100000");
  CLAIM(grant_end(ref), "a copied grant stays in use");
  return -1;
}

int main(void) {
  struct gnttab_query query = {.dom = DOMID_SELF};
  grants_init();
  CLAIM(xen_grant_table_op(GNTTABOP_query_size, &query, 1) == 0 && query.status == GNTST_okay && query.nr_frames >= 1 &&
            query.max_nr_frames >= query.nr_frames, "query_size: %u of %u", query.nr_frames, query.max_nr_frames);
  u16 self = own_domid();
  if (mapping(self) >= 0 || errors(self) >= 0 || copying(self) >= 0) return 0;
  return success("map, unmap, read-only, copy, errors");
}
