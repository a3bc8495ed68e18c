/**
 * A misaligned access with AC set in the flags is #AC, error code 0, in user mode and in the kernel, which runs in ring 3 as
 * well; without AC it is none. Handlers run with AC clear, and find it in the flags of the frame.
 */
#include "kit.h"

#define CODE  0x400000UL
#define STACK 0x7ffff000UL

static volatile u64 frame_flags, frame_rip, frame_error, handler_flags;
static volatile u32 frame_vector;
static u8 trap_stack[8192] PAGE_ALIGNED;
static u8 *code;

static u64 flags_here(void) {
  u64 value;
  __asm__ volatile("pushfq; popq %0" : "=r"(value));
  return value;
}

static bool on_trap(struct regs *regs) {
  handler_flags = flags_here();
  if ((regs->cs & 3) != 3) return false;
  frame_flags = regs->rflags;
  frame_rip = regs->rip;
  frame_vector = (u32)regs->vector;
  frame_error = regs->error;
  user_end(regs);
  return true;
}

/** mov 4(%rdi), %eax; mov 1(%rdi), %eax; ud2 */
static void run(u64 flags) {
  static const u8 text[] = {0x8b, 0x47, 0x04, 0x8b, 0x47, 0x01, 0x0f, 0x0b};
  memcpy(code, text, sizeof(text));
  struct regs regs = {.rip = CODE, .cs = FLAT_CS64, .ss = FLAT_SS, .rsp = STACK + 512, .rflags = RFLAGS_IF | flags};
  regs.rdi = STACK + 256;
  run_user(&regs);
}

int main(void) {
  static u64 words[2];
  u64 *space = user_space_create();
  trap_set_handler(VEC_AC, on_trap);
  trap_set_handler(VEC_UD, on_trap);
  xen_stack_switch(FLAT_SS, (u64)trap_stack + sizeof(trap_stack));
  code = page_alloc();
  CLAIM(user_space_map(space, CODE, code, PTE_USER_RO) == 0 && user_space_map(space, STACK, page_alloc(), PTE_USER_RW) == 0 &&
            set_user_base(space) == 0, "no user space");
  run(RFLAGS_AC);
  CLAIM(frame_vector == VEC_AC && frame_error == 0 && frame_rip == CODE + 3, "user mode: vector %u error %lx", frame_vector, frame_error);
  CLAIM(frame_flags & RFLAGS_AC && !(handler_flags & RFLAGS_AC), "user mode: flags %lx, handler %lx", frame_flags, handler_flags);
  run(0);
  CLAIM(frame_vector == VEC_UD && frame_rip == CODE + 6, "without AC: vector %u rip %lx", frame_vector, frame_rip);
  bool hit = PROBE("pushfq; orl $0x40000, (%%rsp); popfq; 3: cmpl $0, 1(%0); 4: pushfq; andl $~0x40000, (%%rsp); popfq; "
                   FIXUP("3b", "4b"), "r"(words));
  CLAIM(hit && trap_seen.vector == VEC_AC && trap_seen.error == 0, "kernel: hit %u vector %lu error %lx", hit, trap_seen.vector,
        trap_seen.error);
  CLAIM(!(handler_flags & RFLAGS_AC), "kernel: handler flags %lx", handler_flags);
  set_user_base(NULL);
  return success("#AC for misaligned accesses");
}
