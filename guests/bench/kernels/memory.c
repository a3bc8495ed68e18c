/** Memory: a copy that streams and a pointer chase that cannot. */
#include "kernels.h"

#define COPY_WORDS  (64 * 1024 / sizeof(word))
#define CHASE_SLOTS (256 * 1024 / sizeof(word))

static word from[COPY_WORDS], to[COPY_WORDS], next[CHASE_SLOTS];

word loop_copy(word iterations) {
  for (word i = 0; i < COPY_WORDS; i++) from[i] = i * 3;
  for (word n = 0; n < iterations; n++) {
    from[n % COPY_WORDS] += n;
    for (word i = 0; i < COPY_WORDS; i += 4) {
      to[i] = from[i];
      to[i + 1] = from[i + 1];
      to[i + 2] = from[i + 2];
      to[i + 3] = from[i + 3];
    }
    __asm__ volatile("" ::: "memory");
  }
  return to[iterations % COPY_WORDS];
}

word loop_chase(word iterations) {
  for (word i = 0; i < CHASE_SLOTS; i++) next[i] = (i * 10501 + 7919) % CHASE_SLOTS;
  word at = 0, sum = 0;
  for (word i = 0; i < iterations; i++) {
    at = next[at];
    sum += at;
  }
  return sum;
}
