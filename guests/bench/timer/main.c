/**
 * How late timers are: the guest sleeps until a deadline and looks at the clock in the handler.
 * Command line: count=N (default 200), period=us (default 5000).
 */
#include "kit.h"

static u64 deadline, worst, total;
static void on_timer(u32 port UNUSED, struct regs *regs UNUSED) {
  u64 at = now(), late = at > deadline ? at - deadline : 0;
  total += late;
  if (late > worst) worst = late;
}

int main(void) {
  u64 count = cmdline_number("count", 200), period = cmdline_number("period", 5000) * 1000;
  timer_init();
  timer_set_handler(on_timer);
  for (u64 i = 0; i < count; i++) {
    deadline = now() + period;
    sleep_until(deadline);
  }
  bench("timer_lateness_mean", total / count, "ns");
  bench("timer_lateness_worst", worst, "ns");
  return 0;
}
