/**
 * Hostile: sends itself events, yields and asks for timers in the past as fast as it can.
 * Expected: keeps running until it is destroyed; others keep their pace.
 */
#include "kit.h"

static u32 port;
static void ignore(u32 p UNUSED, struct regs *regs UNUSED) {}

int main(void) {
  printk("HOSTILE event-storm: expected: keeps running\n");
  event_bind_ipi(0, &port);
  event_bind(port, ignore);
  timer_init();
  for (;;) {
    event_send(port);
    timer_set(1);
    sched_yield();
    sched_poll(port, 1);
  }
}
