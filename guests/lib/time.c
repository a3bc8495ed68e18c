/** Time: the pvclock page of vcpu_info for reading, VIRQ_TIMER and set_timer_op for waking. */
#include "kit.h"

static u32 timer_port;
static volatile u64 ticks;
static event_handler extra;

/** ns = system_time + ((tsc - tsc_timestamp) << shift) * mul / 2^32, read under the version seqlock. */
u64 now(void) {
  const struct vcpu_time *time = &vcpu_info()->time;
  u32 version;
  u64 ns;
  do {
    version = READ_ONCE(time->version) & ~1U;
    barrier();
    u64 delta = rdtsc() - time->tsc_timestamp;
    delta = time->tsc_shift >= 0 ? delta << time->tsc_shift : delta >> -time->tsc_shift;
    ns = time->system_time + (u64)(((unsigned __int128)delta * time->tsc_to_system_mul) >> 32);
    barrier();
  } while (READ_ONCE(time->version) != version);
  return ns;
}

u64 wallclock_seconds(void) {
  u32 version;
  u64 seconds;
  do {
    version = READ_ONCE(shared_info->wc_version) & ~1U;
    barrier();
    seconds = ((u64)shared_info->wc_sec_hi << 32 | shared_info->wc_sec) + (shared_info->wc_nsec + now()) / 1000000000;
    barrier();
  } while (READ_ONCE(shared_info->wc_version) != version);
  return seconds;
}

static void on_timer(u32 port, struct regs *regs) {
  ticks = ticks + 1;
  if (extra) extra(port, regs);
}

void timer_init(void) {
  if (timer_port) return;
  if (event_bind_virq(VIRQ_TIMER, 0, &timer_port) != 0) panic("cannot bind VIRQ_TIMER");
  event_bind(timer_port, on_timer);
}

void timer_set(u64 deadline) { xen_set_timer_op(deadline); }
void timer_set_handler(event_handler handler) { extra = handler; }
u64 timer_count(void) { return ticks; }

void sleep_until(u64 deadline) {
  timer_init();
  timer_set(deadline);
  wait_until(now() >= deadline);
}

void sleep_ns(u64 ns) { sleep_until(now() + ns); }
