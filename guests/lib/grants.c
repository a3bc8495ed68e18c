/** Grant tables, version 1: lending frames to another domain. Entries 0-7 are reserved (console, XenStore). */
#include "kit.h"

#define FIRST_REF 8

static struct grant_entry *table; /* one shared frame, 512 entries */

void grants_init(void) {
  u64 frame = 0;
  struct gnttab_setup setup = {.dom = DOMID_SELF, .nr_frames = 1, .frames = &frame};
  if (xen_grant_table_op(GNTTABOP_setup_table, &setup, 1) != 0 || setup.status != GNTST_okay)
    panic("gnttab setup_table: %d", setup.status);
  table = map_mfn(frame, PTE_KERNEL_RW);
  if (!table) panic("cannot map the grant table");
}

u32 grant_access(u16 domid, u64 mfn, bool readonly) {
  for (u32 ref = FIRST_REF; ref < PAGE_SIZE / sizeof(*table); ref++) {
    if (table[ref].flags) continue;
    table[ref].domid = domid;
    table[ref].frame = (u32)mfn;
    barrier(); /* flags last: from then on Xen believes the entry */
    WRITE_ONCE(table[ref].flags, GTF_permit_access | (readonly ? GTF_readonly : 0));
    return ref;
  }
  panic("no free grant reference");
}

/** Xen sets reading/writing while the peer has it mapped; swap the flags only if both are clear. */
bool grant_end(u32 ref) {
  u16 seen = READ_ONCE(table[ref].flags);
  if (seen & (GTF_reading | GTF_writing)) return false;
  u16 was = seen;
  __asm__ volatile("lock cmpxchgw %2, %1" : "+a"(was), "+m"(table[ref].flags) : "r"((u16)0) : "memory", "cc");
  return was == seen;
}

void *grant_map(u16 domid, u32 ref, u32 *handle, s64 *status) {
  void *va = page_alloc();
  remap(va, 0); /* Xen fills the entry without flushing: the old translation must be gone before */
  struct gnttab_map map = {.host_addr = (u64)va, .flags = GNTMAP_host_map, .ref = ref, .dom = domid};
  s64 result = xen_grant_table_op(GNTTABOP_map_grant_ref, &map, 1);
  *status = result ? result : map.status;
  *handle = map.handle;
  if (*status == GNTST_okay) return va;
  unmap_mfn(va);
  return NULL;
}

s64 grant_unmap(void *va, u32 handle) {
  struct gnttab_unmap unmap = {.host_addr = (u64)va, .handle = handle};
  s64 result = xen_grant_table_op(GNTTABOP_unmap_grant_ref, &unmap, 1);
  if (result == 0 && unmap.status == GNTST_okay) unmap_mfn(va);
  return result ? result : unmap.status;
}
