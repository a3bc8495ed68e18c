/**
 * user: a kernel that runs programs in ring 3 and outlives them all.
 *
 * ABI shown: two page tables per process (NEW_BASEPTR for the kernel, NEW_USER_BASEPTR for user mode; Xen switches between
 * them), user mode entered by the iret hypercall with cs & 3 = 3, system calls by the syscall callback and by INT 0x80 through a
 * trap gate with DPL 3, the kernel stack of stack_switch, user faults bounced to the kernel with cs & 3 = 3 and error code
 * bit U set, privileged instructions as #GP, a runaway program ended by the timer.
 */
#include "kit.h"

#define USER_CODE  0x400000UL
#define USER_STACK 0x7ffff000UL
#define INT80      0x80
#define RUNAWAY_TICKS 5
#define TICK_NS       10000000

enum syscall { SYS_exit, SYS_write };

#define PROGRAM(name) extern const char program_##name[], program_##name##_end[]
PROGRAM(good);
PROGRAM(hlt);
PROGRAM(cli);
PROGRAM(kernel_memory);
PROGRAM(divide);
PROGRAM(loop);
PROGRAM(bad_pointer);
PROGRAM(hypercall);

/** How a program came to its end: an exception, exit(code), or too many ticks. */
enum { END_EXIT = 1000, END_RUNAWAY };

static struct ending {
  u64 how, detail, rip; /* detail: error code or exit code */
} ending;

#define ROW(name, how, detail) {#name, program_##name, program_##name##_end, how, detail}
static const struct program {
  const char *name, *start, *end;
  u64 how, detail; /* the ending that is right */
} programs[] = {
    ROW(good,          END_EXIT,    7),
    ROW(hlt,           VEC_GP,      0),
    ROW(cli,           VEC_GP,      0),
    ROW(kernel_memory, VEC_PF,      PF_USER),
    ROW(divide,        VEC_DE,      0),
    ROW(loop,          END_RUNAWAY, RUNAWAY_TICKS),
    ROW(bad_pointer,   END_EXIT,    (u64)-EFAULT),
    ROW(hypercall,     END_EXIT,    (u64)-ENOSYS),
};

static u64 *space; /* L4 of the running program */
static u8 trap_stack[16384] PAGE_ALIGNED;
static u32 ticks;

/* ---- leaving user mode for good -------------------------------------------------------------- */

static void end_program(struct regs *regs, u64 how, u64 detail) {
  ending = (struct ending){how, detail, regs->rip};
  user_end(regs);
}

static bool from_user(const struct regs *regs) { return (regs->cs & 3) == 3; }

static bool on_fault(struct regs *regs) {
  if (!from_user(regs)) return false; /* our own mistake: dump and crash */
  end_program(regs, regs->vector, regs->error);
  return true;
}

static void on_tick(u32 port UNUSED, struct regs *regs) {
  timer_set(now() + TICK_NS);
  if (from_user(regs) && ++ticks >= RUNAWAY_TICKS) end_program(regs, END_RUNAWAY, ticks);
}

/* ---- system calls ---------------------------------------------------------------------------- */

/** Copies from the program's memory by walking its tables: its addresses mean nothing in ours. */
static bool copy_from_user(char *to, u64 from, u64 n) {
  for (u64 i = 0; i < n; i++) {
    u64 va = from + i;
    u64 *pte = va < XEN_VIRT_START ? table_entry(space, (void *)va, 1) : NULL;
    if (!pte || (*pte & (PTE_PRESENT | PTE_USER)) != (PTE_PRESENT | PTE_USER)) return false;
    const char *page = pfn_to_va(mfn_to_pfn((*pte & PTE_FRAME) >> PAGE_SHIFT));
    to[i] = page[va % PAGE_SIZE];
  }
  return true;
}

static s64 sys_write(u64 text, u64 length) {
  char copy[128];
  if (length > sizeof(copy)) return -EINVAL;
  if (!copy_from_user(copy, text, length)) return -EFAULT;
  console_write(copy, length);
  return (s64)length;
}

/** Number in rax, arguments in rdi and rsi, result in rax: the same by SYSCALL and by INT 0x80. */
static bool on_syscall(struct regs *regs) {
  if (regs->rax == SYS_exit) end_program(regs, END_EXIT, regs->rdi);
  else regs->rax = regs->rax == SYS_write ? (u64)sys_write(regs->rdi, regs->rsi) : (u64)-ENOSYS;
  return true;
}

/* ---- running one program --------------------------------------------------------------------- */

static void run(const struct program *program) {
  char *code = page_alloc(), *stack = page_alloc();
  memcpy(code, program->start, (size_t)(program->end - program->start));
  space = user_space_create();
  if (user_space_map(space, USER_CODE, code, PTE_USER_RO) || user_space_map(space, USER_STACK, stack, PTE_USER_RW))
    panic("cannot map %s", program->name);
  if (set_user_base(space)) panic("Xen refuses the user page table");

  struct regs regs = {
      .rip = USER_CODE, .cs = FLAT_CS64, .ss = FLAT_SS, .rsp = USER_STACK + PAGE_SIZE, .rflags = RFLAGS_IF};
  ticks = 0;
  timer_set(now() + TICK_NS);
  run_user(&regs);
  timer_set(0);

  set_user_base(NULL);
  user_space_destroy(space);
  page_free(code);
  page_free(stack);
}

static const char *describe(u64 how) {
  switch (how) {
    case VEC_DE:      return "divide error";
    case VEC_GP:      return "general protection";
    case VEC_PF:      return "page fault";
    case END_EXIT:    return "exit";
    case END_RUNAWAY: return "ticks";
    default:          return "something else";
  }
}

static bool judge(const struct program *program) {
  bool right = ending.how == program->how && ending.detail == program->detail;
  printk("PROGRAM %s: %s: ended by %s (%ld) at rip 0x%lx\n", program->name, right ? "as it should" : "WRONG",
         describe(ending.how), (s64)ending.detail, ending.rip);
  return right;
}

static void setup(void) {
  for (u32 vector = 0; vector < 20; vector++) trap_set_handler(vector, on_fault);
  trap_set_handler(INT80, on_syscall);
  trap_set_gate(INT80, 3 | TI_MASK_EVENTS); /* user mode may INT 0x80 */
  trap_set_syscall(on_syscall);
  xen_stack_switch(FLAT_SS, (u64)trap_stack + sizeof(trap_stack));
  timer_init();
  timer_set_handler(on_tick);
}

int main(void) {
  u32 right = 0;
  u64 free_before = pages_free_count();
  setup();
  for (u32 i = 0; i < ARRAY_SIZE(programs); i++) {
    run(&programs[i]);
    right += judge(&programs[i]);
  }
  CLAIM(pages_free_count() == free_before, "%ld pages lost", (s64)(free_before - pages_free_count()));
  CLAIM(right == ARRAY_SIZE(programs), "%u of %lu programs ended as they should", right, ARRAY_SIZE(programs));
  return success("%u programs ended, the kernel did not", right);
}
