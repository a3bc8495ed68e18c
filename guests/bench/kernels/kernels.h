/**
 * The loops that are measured, the same source in a guest and on the host. Each returns a checksum, so that nothing is optimised
 * away and both sides can be compared.
 */
#pragma once

typedef unsigned long word;

word loop_integer(word iterations); /* adds, shifts, multiplies, a division, branches that depend on data */
word loop_copy(word iterations);    /* copies 64 KiB in 8-byte steps */
word loop_chase(word iterations);   /* follows pointers through 256 KiB in a scattered order */
word loop_string(word iterations);  /* rep movsb, rep stosb, repne scasb, repe cmpsb over 4 KiB */
word loop_sse2(word iterations);    /* packed double and integer arithmetic */

struct loop {
  const char *name;
  word (*run)(word iterations);
  word iterations; /* at scale 1 */
};

#define LOOPS                              \
  {                                        \
    {"integer", loop_integer, 4000000},    \
    {"copy",    loop_copy,    2000},       \
    {"chase",   loop_chase,   4000000},    \
    {"string",  loop_string,  2000},       \
    {"sse2",    loop_sse2,    2000000},    \
  }
