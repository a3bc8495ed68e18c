/**
 * A guest that does nothing: it blocks for ever and is there to be paid for. With tick=ms it wakes that often.
 */
#include "kit.h"

int main(void) {
  u64 tick = cmdline_number("tick", 0);
  bench("idle", 1, "domain");
  for (;;) {
    if (tick) sleep_ns(tick * 1000000);
    else wait_until(false);
  }
}
