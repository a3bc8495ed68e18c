/** Accesses that may fault. A row in .fixups says where to go on; what happened is in trap_seen. */
#include "kit.h"

bool probe_read(const void *va, u64 *value) {
  u64 result = 0;
  trap_seen.hit = false;
  __asm__ volatile("1: movq (%1), %0; 2:" FIXUP("1b", "2b") : "+r"(result) : "r"(va) : "memory");
  *value = result;
  return !trap_seen.hit;
}

bool probe_write(void *va, u64 value) {
  trap_seen.hit = false;
  __asm__ volatile("1: movq %0, (%1); 2:" FIXUP("1b", "2b")::"r"(value), "r"(va) : "memory");
  return !trap_seen.hit;
}
