/** The same loops as a program of the host, for the ratio: native [scale] [name]. Not part of any guest. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernels.h"

static word nanoseconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (word)t.tv_sec * 1000000000 + (word)t.tv_nsec;
}

int main(int argc, char **argv) {
  static const struct loop loops[] = LOOPS;
  word scale = argc > 1 ? strtoul(argv[1], NULL, 0) : 1;
  for (size_t i = 0; i < sizeof(loops) / sizeof(loops[0]); i++) {
    if (argc > 2 && strcmp(argv[2], loops[i].name)) continue;
    word n = loops[i].iterations * scale, start = nanoseconds(), sum = loops[i].run(n), elapsed = nanoseconds() - start;
    printf("BENCH %s %lu iterations\nBENCH %s %lu checksum\nBENCH %s %lu ns\n", loops[i].name, n, loops[i].name, sum,
           loops[i].name, elapsed);
  }
  return 0;
}
