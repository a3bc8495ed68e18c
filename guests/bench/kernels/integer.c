/** Integer mix: what compilers make of ordinary code. */
#include "kernels.h"

word loop_integer(word iterations) {
  word a = 0x123456789abcdefUL, b = 0x9e3779b97f4a7c15UL, sum = 0;
  for (word i = 0; i < iterations; i++) {
    a ^= a << 13;
    a ^= a >> 7;
    b = b * 6364136223846793005UL + i;
    if (a & 4) sum += b >> 3;
    else sum ^= a + i;
    if ((i & 63) == 0) sum += b / (a | 1);
  }
  return sum ^ a ^ b;
}
