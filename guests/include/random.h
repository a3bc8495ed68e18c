/** xorshift64: the same sequence for the same seed, so that a failure can be played again. */
#pragma once
#include "types.h"

static u64 random_state = 0x9e3779b97f4a7c15UL;

static inline void random_seed(u64 seed) { random_state = seed ? seed : 1; }

static inline u64 random_next(void) {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return random_state;
}

static inline u64 random_below(u64 limit) { return (random_next() >> 11) % limit; }
