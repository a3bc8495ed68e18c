/**
 * A vCPU that loses the processor gets it back unchanged: all general registers, flags, SSE and x87 state and segment
 * bases, while another vCPU of this domain runs with other values in all of them. Needs a domain with two vCPUs.
 */
#include "kit.h"

#define ROUNDS 300

static volatile u32 stop, second_runs, wrong;

static void load_sse(u64 seed) {
  __asm__ volatile("movq %0, %%xmm0; movq %0, %%xmm15; pshufd $0x44, %%xmm15, %%xmm15; fninit; fildll %1" ::"r"(seed), "m"(seed));
}

static bool same_sse(u64 seed) {
  u64 low, high[2], x87;
  __asm__ volatile("movq %%xmm0, %0; movdqu %%xmm15, %1; fistpll %2; fildll %2" : "=r"(low), "=m"(high), "=m"(x87));
  return low == seed && high[0] == seed && high[1] == seed && x87 == seed;
}

/** Keeps values in registers while the processor goes elsewhere: by yield, and by being preempted in a loop. */
static bool same_registers(u64 seed) {
  u64 rbx = seed, r12 = seed + 1, r13 = seed + 2, r15 = seed + 3, loops = 500;
  __asm__ volatile(
      "1: mov $29, %%eax; xor %%edi, %%edi; xor %%esi, %%esi; stc; syscall; pause; dec %4; jnz 1b"
      : "+b"(rbx), "+r"(r12), "+r"(r13), "+r"(r15), "+r"(loops)::"rax", "rcx", "rdx", "rsi", "rdi", "r8", "r10", "r11", "memory", "cc");
  return rbx == seed && r12 == seed + 1 && r13 == seed + 2 && r15 == seed + 3;
}

static u64 fs_word(void) {
  u64 value;
  __asm__ volatile("movq %%fs:0, %0" : "=r"(value));
  return value;
}

static bool hold(u64 *word) {
  load_sse(*word);
  bool ok = same_registers(*word);
  return ok && same_sse(*word) && fs_word() == *word;
}

static void second(void) {
  static u64 word = 0x2222222222222;
  xen_set_segment_base(SEGBASE_FS, (u64)&word);
  while (!stop) {
    if (!hold(&word) || cpu_id() != 1) wrong = wrong + 1;
    second_runs = second_runs + 1;
  }
}

int main(void) {
  static u64 word = 0x1111111111111;
  CLAIM(smp_start(1, second) == 0, "cannot start vCPU 1");
  xen_set_segment_base(SEGBASE_FS, (u64)&word);
  u64 patience = now() + 3000000000;
  u32 rounds = 0;
  for (; rounds < ROUNDS && now() < patience; rounds++) CLAIM(hold(&word) && cpu_id() == 0, "vCPU 0 changed in round %u", rounds);
  while (second_runs < 10 && now() < patience) sched_yield();
  stop = 1;
  CLAIM(wrong == 0, "vCPU 1 found itself changed %u times", wrong);
  CLAIM(second_runs >= 10, "vCPU 1 had %u rounds only", second_runs);
  return success("%u and %u rounds side by side", rounds, second_runs);
}
