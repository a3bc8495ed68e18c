/**
 * What the kernel sees of user mode: exceptions arrive on the stack of stack_switch with cs & 3 = 3, user rsp and
 * rflags, page faults with the user bit; the user's GS base is swapped with the kernel's; the kernel's memory is not
 * there; SYSCALL delivers all registers, with rip behind it, and changes none but rcx and r11; events interrupt user
 * mode and iret goes back to it.
 */
#include "kit.h"

#define CODE  0x400000UL
#define DATA  0x500000UL
#define STACK 0x7ffff000UL

static u8 trap_stack[8192] PAGE_ALIGNED;
static struct regs seen;
static u64 seen_cr2, handler_stack;
static u32 seen_cpu, ticks;
static u64 *space;
static u8 *code;

static bool on_trap(struct regs *regs) {
  if ((regs->cs & 3) != 3) return false;
  seen = *regs;
  seen_cr2 = vcpu_info()->cr2;
  seen_cpu = cpu_id();
  handler_stack = (u64)regs;
  user_end(regs);
  return true;
}

static void on_tick(u32 port UNUSED, struct regs *regs) {
  if ((regs->cs & 3) == 3) ticks++;
  timer_set(now() + 1000000);
}

static void run(const void *text, size_t size) {
  memset(code, 0xcc, PAGE_SIZE);
  memcpy(code, text, size);
  memset(&seen, 0, sizeof(seen));
  struct regs regs = {.rip = CODE, .cs = FLAT_CS64, .ss = FLAT_SS, .rsp = STACK + 512, .rflags = RFLAGS_IF | RFLAGS_CF};
  regs.rax = 1, regs.rbx = 2, regs.rcx = 3, regs.rdx = 4, regs.rsi = 5, regs.rdi = 6, regs.rbp = 7, regs.r8 = 8, regs.r9 = 9;
  regs.r10 = 10, regs.r11 = 11, regs.r12 = 12, regs.r13 = 13, regs.r14 = 14, regs.r15 = 15;
  run_user(&regs);
}

#define RUN(...)                            \
  do {                                      \
    static const u8 text_[] = {__VA_ARGS__}; \
    run(text_, sizeof(text_));              \
  } while (0)

static bool other_registers(void) {
  return seen.rbx == 2 && seen.rdx == 4 && seen.rsi == 5 && seen.rdi == 6 && seen.rbp == 7 && seen.r8 == 8 && seen.r9 == 9 &&
         seen.r10 == 10 && seen.r12 == 12 && seen.r13 == 13 && seen.r14 == 14 && seen.r15 == 15;
}

static void setup(void) {
  for (u32 v = 0; v < 20; v++) trap_set_handler(v, on_trap);
  trap_set_syscall(on_trap);
  xen_stack_switch(FLAT_SS, (u64)trap_stack + sizeof(trap_stack));
  space = user_space_create();
  code = page_alloc();
  user_space_map(space, CODE, code, PTE_USER_RO);
  user_space_map(space, DATA, page_alloc(), PTE_USER_RO | PTE_NX);
  user_space_map(space, STACK, page_alloc(), PTE_USER_RW);
  if (set_user_base(space)) panic("no user table");
}

static int faults(void) {
  RUN(0x0f, 0x0b); /* ud2 */
  CLAIM(seen.vector == VEC_UD && seen.rip == CODE && (seen.cs & 3) == 3 && seen.rsp == STACK + 512 && (seen.rflags & RFLAGS_CF) &&
            (seen.rflags & RFLAGS_IF),
        "ud2: vector %lu rip %lx cs %x rsp %lx rflags %lx", seen.vector, seen.rip, seen.cs, seen.rsp, seen.rflags);
  CLAIM(seen.rax == 1 && seen.rcx == 3 && seen.r11 == 11 && other_registers(), "ud2 changed registers");
  CLAIM(handler_stack >= (u64)trap_stack && handler_stack == (u64)trap_stack + sizeof(trap_stack) - sizeof(struct regs),
        "the frame lies at %lx", handler_stack);
  CLAIM(seen_cpu == 0, "the kernel's GS base is not there");
  RUN(0x48, 0x8b, 0x04, 0x25, 0, 0, 0, 0x80); /* mov 0xffffffff80000000, %rax */
  CLAIM(seen.vector == VEC_PF && seen.error == PF_USER && seen_cr2 == 0xffffffff80000000,
        "kernel memory: vector %lu error %lx cr2 %lx", seen.vector, seen.error, seen_cr2);
  RUN(0x48, 0x89, 0x04, 0x25, 0, 0, 0x50, 0); /* mov %rax, DATA */
  CLAIM(seen.vector == VEC_PF && seen.error == (PF_USER | PF_WRITE | PF_PRESENT), "read-only data: error %lx", seen.error);
  RUN(0x48, 0x89, 0x04, 0x25, 0, 0, 0x60, 0); /* mov %rax, 0x600000 */
  CLAIM(seen.vector == VEC_PF && seen.error == (PF_USER | PF_WRITE) && seen_cr2 == 0x600000, "unmapped: error %lx", seen.error);
  RUN(0xb8, 0, 0, 0x50, 0, 0xff, 0xe0); /* mov $DATA, %eax; jmp *%rax */
  CLAIM(seen.vector == VEC_PF && (seen.error & ~(u64)PF_FETCH) == (PF_USER | PF_PRESENT), "no-execute data: error %lx", seen.error);
  return -1;
}

int main(void) {
  setup();
  if (faults() >= 0) return 0;
  RUN(0x0f, 0x05); /* syscall */
  CLAIM(seen.vector == VECTOR_SYSCALL && seen.rip == CODE + 2 && (seen.cs & 3) == 3 && seen.rax == 1 && other_registers(),
        "syscall: vector %lu rip %lx cs %x rax %lx", seen.vector, seen.rip, seen.cs, seen.rax);

  xen_set_segment_base(SEGBASE_GS_USER, DATA);
  RUN(0x65, 0x48, 0x8b, 0x1c, 0x25, 0, 0, 0, 0, 0x0f, 0x05); /* mov %gs:0, %rbx; syscall */
  CLAIM(seen.vector == VECTOR_SYSCALL && seen.rbx == 0, "user GS: vector %lu rbx %lx", seen.vector, seen.rbx);

  timer_init();
  timer_set_handler(on_tick);
  timer_set(now() + 1000000);
  RUN(0xb9, 0, 0, 0, 4, 0xff, 0xc9, 0x75, 0xfc, 0x0f, 0x05); /* mov $0x4000000, %ecx; 1: dec %ecx; jnz 1b; syscall */
  timer_set(0);
  CLAIM(seen.vector == VECTOR_SYSCALL && other_registers(), "the loop ended by vector %lu", seen.vector);
  CLAIM(ticks > 0, "no event interrupted it");
  return success("faults, registers, stacks, GS, SYSCALL, %s", "events");
}
