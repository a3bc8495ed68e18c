/**
 * Hostile: jumps to addresses where there is nothing, and runs random bytes in user mode until they fault or a tick
 * ends them.
 * Expected: survives; every jump ends in an exception that its kernel takes.
 * Command line: count=N (default 3000), seed=N.
 */
#include "kit.h"
#include "random.h"

#define CODE  0x400000UL
#define STACK 0x7ffff000UL
#define TICK_NS 2000000

static u64 endings[21]; /* by exception; the last: ended by a tick */
static u64 return_to;

static bool on_kernel_trap(struct regs *regs) {
  endings[regs->vector]++;
  if ((regs->cs & 3) == 3) {
    user_end(regs);
    return true;
  }
  if (!return_to) return false;
  regs->rip = return_to;
  return true;
}

static bool on_user_call(struct regs *regs) {
  user_end(regs);
  return true;
}

static void on_tick(u32 port UNUSED, struct regs *regs) {
  timer_set(now() + TICK_NS);
  if ((regs->cs & 3) != 3) return;
  endings[20]++;
  user_end(regs);
}

static void jump(u64 address) {
  __asm__ volatile("lea 1f(%%rip), %%rax; mov %%rax, %0; mov %%rsp, %%rbx; jmp *%1; 1: mov %%rbx, %%rsp"
                   : "=m"(return_to)
                   : "r"(address)
                   : "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory", "cc");
  return_to = 0;
}

static void bad_jumps(void) {
  static const u64 addresses[] = {0, 1, 0x1000, 0x7fffffffffff, 0x800000000000, 0x8000000000000000, XEN_VIRT_START,
                                  XEN_VIRT_END - 1, XEN_VIRT_END, 0xffffffffffffffff, 0xfffffffffffff000};
  for (u32 i = 0; i < ARRAY_SIZE(addresses); i++) jump(addresses[i]);
  for (u32 i = 0; i < 1000; i++) jump(random_next() | 1UL << 62);
}

static void random_code(u8 *code) {
  for (u32 i = 0; i < PAGE_SIZE; i += 8) *(u64 *)(code + i) = random_next();
  struct regs regs = {.rip = CODE + random_below(PAGE_SIZE), .cs = FLAT_CS64, .ss = FLAT_SS, .rsp = STACK + 2048, .rflags = RFLAGS_IF};
  regs.rax = random_next(), regs.rbx = CODE, regs.rcx = 3, regs.rdi = STACK, regs.rsi = CODE;
  timer_set(now() + TICK_NS);
  run_user(&regs);
}

int main(void) {
  static u8 trap_stack[8192] PAGE_ALIGNED;
  u64 count = cmdline_number("count", 3000);
  random_seed(cmdline_number("seed", 1));
  printk("HOSTILE garbage: expected: survives\n");
  for (u32 v = 0; v < 20; v++) trap_set_handler(v, on_kernel_trap);
  trap_set_handler(32, on_user_call);
  trap_set_handler(128, on_user_call);
  trap_set_syscall(on_user_call);
  timer_init();
  timer_set_handler(on_tick);
  xen_stack_switch(FLAT_SS, (u64)trap_stack + sizeof(trap_stack));
  bad_jumps();

  u8 *code = page_alloc(), *stack = page_alloc();
  u64 *space = user_space_create();
  user_space_map(space, CODE, code, PTE_USER_RW);
  user_space_map(space, STACK, stack, PTE_USER_RW);
  set_user_base(space);
  for (u64 i = 0; i < count; i++) random_code(code);
  timer_set(0);
  return success("%lu programs: %lu #PF, %lu #GP, %lu #UD, %lu #SS, %lu #DE, %lu by a tick", count, endings[VEC_PF], endings[VEC_GP],
                 endings[VEC_UD], endings[VEC_SS], endings[VEC_DE], endings[20]);
}
