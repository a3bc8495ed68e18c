/** The string instructions with their prefixes, as memcpy and friends of a kernel use them. */
#include "kernels.h"

#define SIZE 4096

static char source[SIZE], target[SIZE];

static void copy(void) {
  void *d = target, *s = source;
  word n = SIZE;
  __asm__ volatile("rep movsb" : "+D"(d), "+S"(s), "+c"(n)::"memory");
}

static void fill(char byte) {
  void *d = source;
  word n = SIZE;
  __asm__ volatile("rep stosb" : "+D"(d), "+c"(n) : "a"(byte) : "memory");
}

static word scan(char byte) {
  void *d = target;
  word n = SIZE;
  __asm__ volatile("repne scasb" : "+D"(d), "+c"(n) : "a"(byte) : "memory", "cc");
  return n;
}

static word compare(void) {
  void *d = target, *s = source;
  word n = SIZE;
  __asm__ volatile("repe cmpsb" : "+D"(d), "+S"(s), "+c"(n)::"memory", "cc");
  return n;
}

word loop_string(word iterations) {
  word sum = 0;
  for (word i = 0; i < iterations; i++) {
    fill((char)(i % 100));
    source[i % SIZE] = 101;
    copy();
    sum += scan(101) + compare();
  }
  return sum;
}
