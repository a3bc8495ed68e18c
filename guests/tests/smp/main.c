/**
 * A second vCPU: initialise takes its whole context once (-EEXIST after that), up starts it, an unfinished one cannot
 * be started (-EINVAL); both run on the same memory, send each other IPIs, and down stops it. Needs a domain with two
 * vCPUs.
 */
#include "kit.h"

#define ROUNDS 100

static volatile u32 alive, pings, pongs;
static u32 to_first, to_second;

static void on_first(u32 port UNUSED, struct regs *regs UNUSED) { pongs = pongs + 1; }
static void on_second(u32 port UNUSED, struct regs *regs UNUSED) {
  pings = pings + 1;
  event_send(to_first);
}

static void second(void) {
  events_enable();
  alive = cpu_id();
  while (pings < ROUNDS) sched_block();
}

static bool comes_true(volatile u32 *value, u32 wanted) {
  u64 patience = now() + 2000000000;
  while (*value != wanted && now() < patience) sched_yield();
  return *value == wanted;
}

int main(void) {
  CLAIM(xen_vcpu_op(VCPUOP_is_up, 1, NULL) == 0, "vCPU 1 is not waiting: %ld", xen_vcpu_op(VCPUOP_is_up, 1, NULL));
  CLAIM(xen_vcpu_op(VCPUOP_up, 1, NULL) == -EINVAL, "an uninitialised vCPU started");
  CLAIM(event_bind_ipi(0, &to_first) == 0 && event_bind_ipi(1, &to_second) == 0, "bind_ipi");
  event_bind(to_first, on_first);
  event_bind(to_second, on_second);
  CLAIM(smp_start(1, second) == 0, "cannot start vCPU 1");
  CLAIM(comes_true(&alive, 1), "vCPU 1 does not run");
  CLAIM(xen_vcpu_op(VCPUOP_is_up, 1, NULL) == 1, "a running vCPU is not up");
  CLAIM(smp_start(1, second) == -EEXIST, "initialised twice");
  for (u32 i = 1; i <= ROUNDS; i++) {
    CLAIM(event_send(to_second) == 0, "send");
    CLAIM(comes_true(&pongs, i), "round %u: %u pings arrived, %u answers", i, pings, pongs);
  }
  u64 patience = now() + 2000000000;
  while (xen_vcpu_op(VCPUOP_is_up, 1, NULL) == 1 && now() < patience) sched_yield();
  CLAIM(xen_vcpu_op(VCPUOP_is_up, 1, NULL) == 0, "vCPU 1 does not go down");
  return success("%u IPIs each way", ROUNDS);
}
