/**
 * Debug registers of a PV guest work: a breakpoint on code is a #DB before the instruction, which RF lets pass; one on data a
 * #DB after the write (or, if it asks for that, the read), for 1, 2, 4 or 8 bytes; DR6 tells which. MOV and the hypercalls see
 * the same registers. An address in Xen's range, reserved bits and general detection are refused; a breakpoint on I/O needs
 * CR4.DE, without which DR4 and DR5 are DR6 and DR7, and with which they are undefined.
 */
#include "kit.h"

#define CODE    0x400000UL
#define DATA    0x500000UL
#define STACK   0x7ffff000UL
#define CR4_DE  8UL
#define DR6_DEFAULT 0xffff0ff0UL
#define DR7_DEFAULT 0x400UL
#define RFLAGS_RF (1UL << 16)
#define KIND_CODE  0UL
#define KIND_WRITE 1UL
#define KIND_IO    2UL
#define KIND_BOTH  3UL
/** DR7 for one enabled breakpoint; size: 0 1 byte, 1 2 bytes, 3 4 bytes, 2 8 bytes. */
#define DR7(n, kind, size) (DR7_DEFAULT | 2UL << (n) * 2 | (kind) << (16 + (n) * 4) | (u64)(size) << (18 + (n) * 4))
#define XEN_ADDRESS 0xffff800000000000UL
#define PHYSDEVOP_set_iopl 6

static volatile u64 hit_rip, hit_dr6, hit_flags;
static volatile u32 hits;
static u8 trap_stack[8192] PAGE_ALIGNED;
static u64 words[4];

#define READ_DR(n) ({ u64 v_; __asm__ volatile("mov %%db" #n ", %0" : "=r"(v_)); v_; })
#define WRITE_DR(n, value) __asm__ volatile("mov %0, %%db" #n ::"r"((u64)(value)) : "memory")

static bool on_debug(struct regs *regs) {
  hits = hits + 1;
  hit_rip = regs->rip;
  hit_flags = regs->rflags;
  hit_dr6 = READ_DR(6) & 0xe00f;
  WRITE_DR(6, DR6_DEFAULT);
  regs->rflags |= RFLAGS_RF;
  return true;
}

static void set(u64 address, u64 control) {
  hits = 0;
  WRITE_DR(7, DR7_DEFAULT);
  WRITE_DR(2, address);
  WRITE_DR(7, control);
}

/** Runs one access with a breakpoint in DR2. True: it was hit, once, behind the access. */
#define HITS(address, control, access, ...)                                                            \
  ({                                                                                                   \
    u64 behind_;                                                                                       \
    set((u64)(address), control);                                                                      \
    __asm__ volatile("lea 1f(%%rip), %0; " access "; 1: nop" : "=&r"(behind_) : __VA_ARGS__ : "memory", "rax", "cc"); \
    WRITE_DR(7, DR7_DEFAULT);                                                                          \
    hits == 1 && hit_rip == behind_ && hit_dr6 == 4;                                                   \
  })

static int data(void) {
  CLAIM(HITS(words, DR7(2, KIND_WRITE, 3), "movl $1, (%1)", "r"(words)), "a write: %u hits, dr6 %lx", hits, hit_dr6);
  CLAIM(words[0] == 1, "the write was not made");
  CLAIM(!HITS(words, DR7(2, KIND_WRITE, 3), "movl (%1), %%eax", "r"(words)) && !hits, "a read hit a write breakpoint");
  CLAIM(HITS(words, DR7(2, KIND_BOTH, 3), "movl (%1), %%eax", "r"(words)), "a read: %u hits", hits);
  CLAIM(HITS(words + 1, DR7(2, KIND_WRITE, 2), "movb $1, 15(%1)", "r"(words)), "8 bytes: %u hits", hits);
  CLAIM(!HITS(words + 1, DR7(2, KIND_WRITE, 3), "movb $1, 15(%1)", "r"(words)) && !hits, "4 bytes: %u hits", hits);
  CLAIM(HITS((u64)words + 2, DR7(2, KIND_WRITE, 1), "movb $1, 3(%1)", "r"(words)), "2 bytes: %u hits", hits);
  CLAIM(HITS((u64)words + 3, DR7(2, KIND_WRITE, 0), "movl $1, (%1)", "r"(words)), "1 byte: %u hits", hits);
  CLAIM(!HITS(words, DR7_DEFAULT | KIND_WRITE << 24, "movl $1, (%1)", "r"(words)) && !hits, "one that is not enabled was hit");
  return -1;
}

/** A breakpoint on code is a fault; with RF the instruction runs. */
static volatile u32 calls;
static void __attribute__((noinline, noclone)) target(void) { calls = calls + 1; }

static int on_code(void) {
  calls = 0;
  set((u64)target, DR7(2, KIND_CODE, 0));
  target();
  CLAIM(hits == 1 && calls == 1, "code: %u hits, %u calls", hits, calls);
  CLAIM(hit_rip == (u64)target && hit_dr6 == 4 && !(hit_flags & RFLAGS_RF), "code: rip %lx, dr6 %lx, flags %lx", hit_rip, hit_dr6, hit_flags);
  target();
  CLAIM(hits == 2 && calls == 2, "again: %u hits, %u calls", hits, calls);
  WRITE_DR(7, DR7_DEFAULT);
  target();
  CLAIM(hits == 2 && calls == 3, "gone: %u hits", hits);
  return -1;
}

static bool refused(bool hit, u32 vector) { return hit && trap_seen.vector == vector; }

static int values(void) {
  CLAIM(HYPERCALL2(HC_set_debugreg, 1, 0x1000) == 0 && READ_DR(1) == 0x1000, "set_debugreg");
  WRITE_DR(3, 0x2000);
  CLAIM(HYPERCALL1(HC_get_debugreg, 3) == 0x2000, "get_debugreg");
  CLAIM(HYPERCALL2(HC_set_debugreg, 0, XEN_ADDRESS) == -EPERM, "an address of Xen's");
  CLAIM(HYPERCALL2(HC_set_debugreg, 0, 1UL << 47) == -EPERM, "no address at all");
  CLAIM(refused(PROBE("mov %0, %%db0", "r"(XEN_ADDRESS)), VEC_GP), "an address of Xen's by MOV");
  CLAIM(HYPERCALL2(HC_set_debugreg, 7, 1UL << 13) == -EPERM, "general detection");
  CLAIM(HYPERCALL2(HC_set_debugreg, 7, 1UL << 32) == -EINVAL && HYPERCALL2(HC_set_debugreg, 6, 1UL << 32) == -EINVAL, "bit 32");
  CLAIM(HYPERCALL2(HC_set_debugreg, 7, DR7(2, KIND_IO, 0)) == -EPERM, "I/O without DE");
  CLAIM(HYPERCALL2(HC_set_debugreg, 7, DR7(2, KIND_WRITE, 0) | KIND_IO << 16) == -EPERM, "I/O that is not enabled, beside one that is");
  CLAIM(HYPERCALL2(HC_set_debugreg, 7, KIND_IO << 24) == 0, "I/O with nothing enabled");
  WRITE_DR(7, DR7_DEFAULT);
  CLAIM(HYPERCALL2(HC_set_debugreg, 8, 0) == -ENODEV && HYPERCALL1(HC_get_debugreg, 8) == -ENODEV, "there is no DR8");
  WRITE_DR(6, 0);
  CLAIM(READ_DR(6) == DR6_DEFAULT && READ_DR(7) == DR7_DEFAULT, "fixed bits: dr6 %lx dr7 %lx", READ_DR(6), READ_DR(7));
  CLAIM(!PROBE("mov %%db4, %%rax; mov %%db5, %%rax; mov %%rax, %%db5", "a"(0)), "DR4 and DR5 without DE");
  return -1;
}

#define READ_CR4() ({ u64 v_; __asm__ volatile("mov %%cr4, %0" : "=r"(v_)); v_; })
#define WRITE_CR4(value) __asm__ volatile("mov %0, %%cr4" ::"r"((u64)(value)))

static int extensions(void) {
  u32 iopl = 1;
  WRITE_CR4(READ_CR4() | CR4_DE);
  CLAIM(READ_CR4() & CR4_DE, "no DE in cr4 %lx", READ_CR4());
  CLAIM(refused(PROBE("mov %%db4, %%rax", "a"(0)), VEC_UD), "DR4 read with DE");
  CLAIM(refused(PROBE("mov %%rax, %%db5", "a"(0)), VEC_UD), "DR5 written with DE");
  CLAIM(HYPERCALL2(HC_set_debugreg, 5, 0) == -ENODEV, "set_debugreg(5) with DE");
  CLAIM(HYPERCALL2(HC_physdev_op, PHYSDEVOP_set_iopl, &iopl) == 0, "set_iopl");
  CLAIM(HITS(0x80, DR7(2, KIND_IO, 0), "out %%al, $0x80", "i"(0)), "OUT: %u hits, dr6 %lx", hits, hit_dr6);
  CLAIM(READ_DR(7) == DR7_DEFAULT, "dr7 %lx", READ_DR(7));
  CLAIM(!HITS(0x80, DR7(2, KIND_IO, 0), "out %%al, $0x81", "i"(0)) && !hits, "OUT to another port");
  WRITE_CR4(READ_CR4() & ~CR4_DE);
  return -1;
}

/* ---- user mode: the same registers, the same addresses ---------------------------------------- */

static bool on_end(struct regs *regs) {
  if ((regs->cs & 3) != 3) return false;
  user_end(regs);
  return true;
}

static int in_user_mode(void) {
  static const u8 text[] = {0x90, 0x89, 0x07, 0x90, 0x0f, 0x0b}; /* nop; mov %eax, (%rdi); nop; ud2 */
  u64 *space = user_space_create();
  u8 *code = page_alloc();
  memcpy(code, text, sizeof(text));
  xen_stack_switch(FLAT_SS, (u64)trap_stack + sizeof(trap_stack));
  trap_set_handler(VEC_UD, on_end);
  CLAIM(user_space_map(space, CODE, code, PTE_USER_RO) == 0 && user_space_map(space, DATA, page_alloc(), PTE_USER_RW) == 0 &&
            user_space_map(space, STACK, page_alloc(), PTE_USER_RW) == 0 && set_user_base(space) == 0, "no space");
  struct regs regs = {.rip = CODE, .cs = FLAT_CS64, .ss = FLAT_SS, .rsp = STACK + 512, .rflags = RFLAGS_IF, .rdi = DATA};
  set(DATA, DR7(2, KIND_WRITE, 3));
  run_user(&regs);
  CLAIM(hits == 1 && hit_rip == CODE + 3 && hit_dr6 == 4, "a user write: %u hits, rip %lx, dr6 %lx", hits, hit_rip, hit_dr6);
  set(CODE + 1, DR7(2, KIND_CODE, 0));
  run_user(&regs);
  CLAIM(hits == 1 && hit_rip == CODE + 1, "user code: %u hits, rip %lx", hits, hit_rip);
  WRITE_DR(7, DR7_DEFAULT);
  set_user_base(NULL);
  return -1;
}

int main(void) {
  int result;
  trap_set_handler(VEC_DB, on_debug);
  if ((result = values()) >= 0 || (result = data()) >= 0 || (result = on_code()) >= 0) return result;
  if ((result = extensions()) >= 0 || (result = in_user_mode()) >= 0) return result;
  return success("breakpoints on code, data and I/O");
}
