/**
 * Exceptions of the guest kernel are bounced to its handlers: the vector, the processor's error code, rip at the
 * instruction (fault) or behind it (trap), cs with RPL 0 although the kernel runs in ring 3, the page-fault error code
 * without its user bit, cr2 in vcpu_info, and the upcall mask saved, set only for entries with TI_MASK_EVENTS, and
 * restored by iret.
 */
#include "kit.h"

#define NON_CANONICAL 0x8000000000000000UL
#define UNMAPPED      0x10000UL

static u8 page[PAGE_SIZE] PAGE_ALIGNED;

static bool seen(u64 vector, u64 error) {
  return trap_seen.hit && trap_seen.vector == vector && trap_seen.error == error && (trap_seen.cs & 3) == 0;
}

#define EXPECT(probe, vec, code)                                                                              \
  do {                                                                                                        \
    bool hit_ = (probe);                                                                                      \
    CLAIM(hit_ && seen(vec, code), "%s: hit %u vector %lu error %lx cs %x", #probe, hit_, trap_seen.vector,  \
          trap_seen.error, trap_seen.cs);                                                                     \
  } while (0)

/* ---- an instruction fetch and single stepping need handlers of their own ---------------------- */

static u64 fetch_error;
static bool on_fetch(struct regs *regs) {
  if (regs->rip != UNMAPPED) return false;
  fetch_error = regs->error;
  regs->rip = *(u64 *)regs->rsp; /* return from the call that led there */
  regs->rsp += 8;
  return true;
}

static u32 steps;
static u64 last_step;
static bool on_step(struct regs *regs) {
  steps++;
  last_step = regs->rip;
  regs->rflags &= ~RFLAGS_TF;
  return true;
}

static u64 single_step(void) {
  u64 expected;
  __asm__ volatile("lea 1f(%%rip), %0; pushf; orl $0x100, (%%rsp); popf; nop; 1: nop" : "=r"(expected)::"memory", "cc");
  return expected;
}

static bool masked_inside(u8 gate_flags) {
  trap_set_gate(VEC_UD, gate_flags);
  PROBE("ud2");
  return trap_seen.mask_inside;
}

int main(void) {
  EXPECT(PROBE("divl %%ecx", "a"(1), "d"(0), "c"(0)), VEC_DE, 0);
  EXPECT(PROBE("idivb %%cl", "a"(-32768), "c"(-1)), VEC_DE, 0);
  EXPECT(PROBE("int3"), VEC_BP, 0);
  EXPECT(PROBE("ud2"), VEC_UD, 0);
  EXPECT(PROBE("hlt"), VEC_GP, 0);
  EXPECT(PROBE("cmpq $0, (%0)", "r"(NON_CANONICAL)), VEC_GP, 0);
  bool hit = PROBE("xchgq %%rbp, %0; 3: cmpq $0, (%%rbp); 4: xchgq %%rbp, %0;" FIXUP("3b", "4b"), "r"(NON_CANONICAL));
  CLAIM(hit && (seen(VEC_SS, 0) || seen(VEC_GP, 0)), "a non-canonical stack access: vector %lu", trap_seen.vector); /* QEMU: #GP */

  EXPECT(PROBE("cmpq $0, (%0)", "r"(UNMAPPED + 8)), VEC_PF, 0);
  CLAIM(trap_seen.cr2 == UNMAPPED + 8, "cr2 %lx", trap_seen.cr2);
  EXPECT(PROBE("movq %%rax, (%0)", "r"(UNMAPPED)), VEC_PF, PF_WRITE);
  CLAIM(set_readonly(page) == 0, "cannot make a page read-only");
  EXPECT(PROBE("movq %%rax, (%0)", "r"(page + 16)), VEC_PF, PF_WRITE | PF_PRESENT);
  CLAIM(trap_seen.cr2 == (u64)page + 16, "cr2 %lx", trap_seen.cr2);
  EXPECT(PROBE("lock addl $0, (%0)", "r"(page)), VEC_PF, PF_WRITE | PF_PRESENT);
  CLAIM(set_writable(page) == 0, "cannot make it writable again");
  CLAIM(!PROBE("movq %%rax, (%0)", "r"(page)), "the page stays read-only");

  trap_set_handler(VEC_PF, on_fetch);
  ((void (*)(void))UNMAPPED)();
  CLAIM(fetch_error == PF_FETCH || fetch_error == 0, "fetch: error %lx", fetch_error); /* 0 where NX is off */

  trap_set_handler(VEC_DB, on_step);
  u64 expected = single_step();
  CLAIM(steps == 1 && last_step == expected, "%u steps, at %lx not %lx", steps, last_step, expected);

  HYPERCALL1(HC_fpu_taskswitch, 1);
  EXPECT(PROBE("fninit"), VEC_NM, 0);
  CLAIM(!PROBE("fninit"), "TS is still set after #NM");

  CLAIM(!masked_inside(0), "a plain gate masks events");
  CLAIM(masked_inside(TI_MASK_EVENTS), "TI_MASK_EVENTS does not mask events");
  CLAIM(!vcpu_info()->upcall_mask && !trap_seen.saved_upcall_mask, "the mask did not come back");
  events_disable();
  PROBE("ud2");
  bool still = vcpu_info()->upcall_mask, saved = trap_seen.saved_upcall_mask;
  events_enable();
  CLAIM(still && saved, "a masked context: mask %u, saved %u", still, saved);
  return success("vectors, error codes, rip, cr2, upcall mask");
}
