/**
 * Hostile: takes all it can get of everything: event channels, frames, grant entries, pins, mappings of grants.
 * Expected: survives; each resource ends with an error (or none at all), and all of it comes back when the domain is
 * destroyed.
 */
#include "kit.h"

#define MANY 200000

static u64 take_event_channels(void) {
  u64 taken = 0;
  u32 port;
  while (taken < MANY && event_alloc_unbound(DOMID_SELF, &port) == 0) taken++;
  return taken;
}

static u64 take_frames(void) {
  u64 taken = 0, extent = start_info->nr_pages;
  struct memory_reservation op = {.extents = &extent, .nr_extents = 1, .domid = DOMID_SELF};
  while (taken < MANY && xen_memory_op(MEMOP_populate_physmap, &op) == 1) extent = start_info->nr_pages + ++taken;
  return taken;
}

static u64 take_grant_frames(void) {
  u64 taken = 0;
  for (u32 frames = 1; frames < 100000; frames *= 2) {
    static u64 list[4096];
    struct gnttab_setup setup = {.dom = DOMID_SELF, .nr_frames = frames, .frames = list};
    if (xen_grant_table_op(GNTTABOP_setup_table, &setup, 1) || setup.status) break;
    taken = frames;
  }
  return taken;
}

static u64 take_mappings(void) {
  u32 handle, ref = grant_access(own_domid(), va_to_mfn(page_alloc()), false);
  u64 taken = 0;
  s64 status;
  while (taken < MANY && pages_free_count() > 1 && grant_map(own_domid(), ref, &handle, &status)) taken++;
  return taken;
}

static u64 take_pins(void) {
  u64 taken = 0;
  while (pages_free_count() > 1) {
    u64 *table = page_alloc();
    if (set_readonly(table) || pin_table(table, 1)) break;
    taken++;
  }
  return taken;
}

int main(void) {
  printk("HOSTILE greedy: expected: survives\n");
  grants_init();
  u64 channels = take_event_channels(), frames = take_frames(), grants = take_grant_frames();
  u64 mappings = take_mappings(), pins = take_pins();
  return success("%lu event channels, %lu frames, %lu grant frames, %lu mappings, %lu pins", channels, frames, grants, mappings, pins);
}
