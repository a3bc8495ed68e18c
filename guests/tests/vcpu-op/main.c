/**
 * vcpu_op on ourselves: whether a vCPU is up, runstates whose times add up to the time that passed, a runstate area
 * that Xen keeps, timers per vCPU, and the errors: -ENOENT for a vCPU that does not exist, -ENOSYS for an unknown
 * operation.
 */
#include "kit.h"

static struct runstate_info area;

static u64 total(const struct runstate_info *info) { return info->time[0] + info->time[1] + info->time[2] + info->time[3]; }

int main(void) {
  CLAIM(xen_vcpu_op(VCPUOP_is_up, 0, NULL) == 1, "vCPU 0 is not up");
  CLAIM(xen_vcpu_op(VCPUOP_is_up, 31, NULL) == -ENOENT || xen_vcpu_op(VCPUOP_is_up, 31, NULL) == 0, "is_up(31)");
  CLAIM(xen_vcpu_op(VCPUOP_is_up, 9999, NULL) == -ENOENT, "is_up(9999)");
  CLAIM(xen_vcpu_op(99, 0, NULL) == -ENOSYS, "vcpu_op 99");

  struct runstate_info before, after;
  CLAIM(xen_vcpu_op(VCPUOP_get_runstate_info, 0, &before) == 0, "get_runstate_info");
  CLAIM(before.state == RUNSTATE_running, "we are in state %d", before.state);
  u64 start = now();
  sleep_ns(20000000);
  CLAIM(xen_vcpu_op(VCPUOP_get_runstate_info, 0, &after) == 0, "get_runstate_info");
  u64 passed = now() - start, accounted = total(&after) - total(&before);
  CLAIM(after.time[RUNSTATE_blocked] - before.time[RUNSTATE_blocked] >= 15000000, "blocked for %lu ns only",
        after.time[RUNSTATE_blocked] - before.time[RUNSTATE_blocked]);
  CLAIM(accounted >= 20000000 && accounted <= passed + 20000000, "%lu ns accounted, %lu passed", accounted, passed);

  u64 address = (u64)&area;
  CLAIM(xen_vcpu_op(VCPUOP_register_runstate_memory_area, 0, &address) == 0, "register_runstate_memory_area");
  CLAIM(area.state == RUNSTATE_running && total(&area) > 0, "the area is not filled at once");
  u64 blocked = area.time[RUNSTATE_blocked];
  sleep_ns(10000000);
  CLAIM(area.time[RUNSTATE_blocked] > blocked, "the area is not kept up to date");
  return success("is_up, runstates, area");
}
