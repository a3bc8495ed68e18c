/**
 * Time never goes back; set_timer_op raises VIRQ_TIMER at or after its deadline and not before, at once for one in the
 * past, never for a cancelled one; the single-shot timer with its "future" flag refuses the past with -ETIME or fires;
 * the periodic one keeps on.
 */
#include "kit.h"

#define MS 1000000UL

static bool arrives_within(u64 count, u64 ns) {
  u64 patience = now() + ns;
  while (timer_count() < count && now() < patience) cpu_relax();
  return timer_count() >= count;
}

static int monotonic(void) {
  u64 last = now(), end = last + 20 * MS;
  for (u64 t = last; t < end; last = t, t = now()) CLAIM(t >= last, "time went back by %lu ns", last - t);
  return -1;
}

static int one_shot(void) {
  u64 worst = 0, before;
  for (int i = 0; i < 10; i++) {
    u64 deadline = now() + 3 * MS;
    before = timer_count();
    timer_set(deadline);
    CLAIM(arrives_within(before + 1, 500 * MS), "no timer event");
    CLAIM(now() >= deadline, "%lu ns too early", deadline - now());
    if (now() - deadline > worst) worst = now() - deadline;
  }
  CLAIM(worst < 100 * MS, "%lu ns late", worst);
  before = timer_count();
  timer_set(now() - MS);
  CLAIM(arrives_within(before + 1, 500 * MS), "a deadline in the past does not fire");
  before = timer_count();
  timer_set(now() + 5 * MS);
  timer_set(0);
  CLAIM(!arrives_within(before + 1, 20 * MS), "a cancelled timer fired");
  return -1;
}

static int other_timers(void) {
  struct singleshot_timer past = {now() - MS, VCPU_SSHOTTMR_future}, soon = {now() + 2 * MS, VCPU_SSHOTTMR_future};
  s64 result = xen_vcpu_op(VCPUOP_set_singleshot_timer, 0, &past);
  CLAIM(result == -ETIME || result == 0, "a single shot into the past: %ld", result); /* 4.17 fires at once instead */
  arrives_within(timer_count() + 1, 20 * MS);
  u64 before = timer_count();
  soon.timeout_abs_ns = now() + 2 * MS;
  CLAIM(xen_vcpu_op(VCPUOP_set_singleshot_timer, 0, &soon) == 0 && arrives_within(before + 1, 500 * MS), "single shot");
  CLAIM(xen_vcpu_op(VCPUOP_stop_singleshot_timer, 0, NULL) == 0, "stop_singleshot_timer");
  struct periodic_timer period = {10 * MS};
  before = timer_count();
  CLAIM(xen_vcpu_op(VCPUOP_set_periodic_timer, 0, &period) == 0 && arrives_within(before + 3, 500 * MS), "periodic");
  CLAIM(xen_vcpu_op(VCPUOP_stop_periodic_timer, 0, NULL) == 0, "stop_periodic_timer");
  arrives_within(timer_count() + 1, 15 * MS); /* one may have been under way */
  CLAIM(!arrives_within(timer_count() + 1, 40 * MS), "the periodic timer does not stop");
  return -1;
}

int main(void) {
  timer_init();
  xen_vcpu_op(VCPUOP_stop_periodic_timer, 0, NULL);
  if (monotonic() >= 0 || one_shot() >= 0 || other_timers() >= 0) return 0;
  return success("monotonic, deadlines, cancel, single shot, periodic");
}
