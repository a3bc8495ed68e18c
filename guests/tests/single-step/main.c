/**
 * With TF set an instruction is followed by #DB, DR6.BS set: in the kernel and in user mode, after each element of a repeated
 * string, after an instruction that Xen carries out, after a hypercall. The handler runs with TF clear and finds it in the flags of the
 * frame. INT3 and INT1 are exceptions of their own: no step follows, INT1 says nothing in DR6.
 */
#include "kit.h"

#define CODE   0x400000UL
#define STACK  0x7ffff000UL
#define DR6_BS (1UL << 14)
#define MOST   32

static volatile u64 rips[MOST], statuses[MOST];
static volatile u32 steps, vectors[MOST];
static volatile bool was_calm = true;
static u8 trap_stack[8192] PAGE_ALIGNED;
static u64 *space;
static u8 *code;

static u64 read_dr6(void) {
  u64 value;
  __asm__ volatile("mov %%dr6, %0" : "=r"(value));
  return value;
}

static u64 flags_here(void) {
  u64 value;
  __asm__ volatile("pushfq; popq %0" : "=r"(value));
  return value;
}

/** Notes where the trap came from; one at an address with a fixup is left to that. */
static bool on_trap(struct regs *regs) {
  if (steps == MOST) {
    regs->rflags &= ~RFLAGS_TF;
    return true;
  }
  rips[steps] = regs->rip;
  vectors[steps] = (u32)regs->vector;
  statuses[steps] = read_dr6() & (DR6_BS | 15);
  __asm__ volatile("mov %0, %%dr6" ::"r"(0xffff0ff0UL));
  steps = steps + 1;
  if (flags_here() & RFLAGS_TF) was_calm = false;
  return true;
}

/** Steps through code: the addresses of the traps, relative to the instruction behind POPF, are in rips[]. */
#define STEP(instructions, ...)                                                                                     \
  ({                                                                                                                \
    u64 start_;                                                                                                     \
    steps = 0;                                                                                                      \
    __asm__ volatile("lea 1f(%%rip), %0; pushfq; orl $0x100, (%%rsp); popfq; 1: " instructions                      \
                     "; pushfq; andl $~0x100, (%%rsp); popfq"                                                       \
                     : "=&r"(start_)                                                                                \
                     : __VA_ARGS__                                                                                  \
                     : "memory", "cc", "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11");         \
    for (u32 i_ = 0; i_ < steps; i_++) rips[i_] -= start_;                                                          \
  })

/** The last three of each STEP are PUSHF, AND, POPF. */
static bool stepped(const u64 *expected, u32 count, u32 tail) {
  if (steps != count + 3) return false;
  for (u32 i = 0; i < count; i++)
    if (rips[i] != expected[i] || statuses[i] != DR6_BS || vectors[i] != VEC_DB) return false;
  return rips[count] == tail + 1;
}
#define STEPPED(tail, ...) \
  ({ static const u64 e_[] = {__VA_ARGS__}; stepped(e_, ARRAY_SIZE(e_), tail); })

static int in_kernel(void) {
  static u8 from[8] = "abcdefg", to[8];
  STEP("nop; mov $1, %%eax; jmp 2f; ud2; 2: nop", "i"(0));
  CLAIM(STEPPED(11, 1, 6, 10, 11), "instructions: %u steps, %lu %lu %lu %lu", steps, rips[0], rips[1], rips[2], rips[3]);
  STEP("mov %1, %%rsi; mov %2, %%rdi; mov $3, %%ecx; rep movsb", "i"(from), "i"(to));
  CLAIM(STEPPED(21, 7, 14, 19, 19, 19, 21), "rep movsb: %u steps, %lu %lu %lu", steps, rips[3], rips[4], rips[5]);
  CLAIM(to[0] == 'a' && to[2] == 'c' && to[3] == 0, "rep movsb moved %s", to);
  STEP("mov %%cr0, %%rax; nop", "i"(0));
  CLAIM(STEPPED(4, 3, 4), "an emulated instruction: %u steps, %lu %lu", steps, rips[0], rips[1]);
  STEP(".byte 0x0f, 0x0b, 'x', 'e', 'n'; cpuid; nop", "i"(0));
  CLAIM(STEPPED(8, 7, 8), "CPUID by Xen: %u steps, %lu %lu", steps, rips[0], rips[1]);
  STEP("mov %1, %%eax; xor %%edi, %%edi; syscall; nop", "i"(HC_xen_version));
  CLAIM(STEPPED(10, 5, 7, 9, 10), "a hypercall: %u steps, %lu %lu %lu", steps, rips[1], rips[2], rips[3]);
  return -1;
}

/** INT3 and INT1 among stepped instructions. */
static int software(void) {
  trap_set_handler(VEC_BP, on_trap);
  STEP("nop; int3; nop", "i"(0));
  CLAIM(steps == 6 && vectors[1] == VEC_BP && rips[1] == 2 && rips[2] == 3, "INT3: %u traps, %u at %lu", steps, vectors[1], rips[1]);
  steps = 0;
  bool undefined = PROBE(".byte 0xf1"); /* QEMU has no INT1 */
  CLAIM(undefined || (steps == 1 && vectors[0] == VEC_DB && statuses[0] == 0), "INT1: %u traps, vector %u, dr6 %lx", steps, vectors[0],
        statuses[0]);
  trap_set_handler(VEC_BP, NULL);
  return -1;
}

/* ---- user mode -------------------------------------------------------------------------------- */

static volatile u64 frame_flags;
static volatile u32 frame_vector;

static bool on_user_trap(struct regs *regs) {
  if ((regs->cs & 3) != 3) return on_trap(regs);
  frame_flags = regs->rflags;
  frame_vector = (u32)regs->vector;
  on_trap(regs);
  if (regs->vector != VEC_DB) user_end(regs);
  return true;
}

static void run(const u8 *text, size_t size, u64 flags) {
  memset(code, 0xcc, PAGE_SIZE);
  memcpy(code, text, size);
  steps = 0;
  struct regs regs = {.rip = CODE, .cs = FLAT_CS64, .ss = FLAT_SS, .rsp = STACK + 512, .rflags = RFLAGS_IF | flags};
  run_user(&regs);
}
#define RUN(flags, ...)                      \
  do {                                       \
    static const u8 text_[] = {__VA_ARGS__}; \
    run(text_, sizeof(text_), flags);        \
  } while (0)

static int in_user_mode(void) {
  trap_set_handler(VEC_DB, on_user_trap);
  trap_set_handler(VEC_UD, on_user_trap);
  trap_set_syscall(on_user_trap);
  RUN(RFLAGS_TF, 0x90, 0xff, 0xc0, 0x0f, 0x0b); /* nop; inc eax; ud2 */
  CLAIM(steps == 3 && rips[0] == CODE + 1 && rips[1] == CODE + 3 && vectors[2] == VEC_UD, "user mode: %u traps", steps);
  CLAIM(statuses[0] == DR6_BS && frame_flags & RFLAGS_TF, "user mode: dr6 %lx, flags %lx", statuses[0], frame_flags);
  RUN(RFLAGS_TF, 0x90, 0x0f, 0x05); /* nop; syscall */
  CLAIM(steps == 2 && frame_vector == VECTOR_SYSCALL && frame_flags & RFLAGS_TF, "SYSCALL: %u traps, flags %lx", steps, frame_flags);
  CLAIM(was_calm, "TF is set in a handler");
  return -1;
}

int main(void) {
  trap_set_handler(VEC_DB, on_trap);
  int result;
  if ((result = in_kernel()) >= 0 || (result = software()) >= 0) return result;
  xen_stack_switch(FLAT_SS, (u64)trap_stack + sizeof(trap_stack));
  space = user_space_create();
  code = page_alloc();
  CLAIM(user_space_map(space, CODE, code, PTE_USER_RO) == 0, "cannot map code");
  CLAIM(user_space_map(space, STACK, page_alloc(), PTE_USER_RW) == 0, "cannot map a stack");
  CLAIM(set_user_base(space) == 0, "cannot use the space");
  if ((result = in_user_mode()) >= 0) return result;
  set_user_base(NULL);
  return success("#DB after each step");
}
