/**
 * The loops of bench/kernels in a guest. Three lines each: iterations, checksum, elapsed ns by pvclock.
 * Command line: scale=N (default 1), only=<name>.
 */
#include "../kernels/kernels.h"
#include "kit.h"

int main(void) {
  static const struct loop loops[] = LOOPS;
  char only[32] = "";
  u64 scale = cmdline_number("scale", 1);
  cmdline_get("only", only, sizeof(only));
  for (u32 i = 0; i < ARRAY_SIZE(loops); i++) {
    if (*only && strcmp(only, loops[i].name)) continue;
    u64 n = loops[i].iterations * scale, start = now(), sum = loops[i].run(n), elapsed = now() - start;
    bench(loops[i].name, n, "iterations");
    bench(loops[i].name, sum, "checksum");
    bench(loops[i].name, elapsed, "ns");
  }
  return 0;
}
