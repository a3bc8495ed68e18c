/**
 * Exceptions. Xen keeps the real IDT; we hand it a table of {vector, DPL, address} and it "bounces" exceptions to us.
 * A guest kernel runs in ring 3, yet the saved cs says ring 0 when the kernel itself was interrupted, ring 3 for user mode.
 */
#include "kit.h"

#define EXCEPTIONS 20

extern const u64 vector_entries[];
extern char syscall_entry[];
extern const struct fixup { u64 from, to; } fixups_start[], fixups_end[];

static const u8 more_vectors[] = {32, 128}; /* follow the exceptions in vector_entries */
static struct trap_info table[EXCEPTIONS + ARRAY_SIZE(more_vectors) + 1];
static trap_handler handlers[256];
static trap_handler syscall_handler;
struct trap_seen trap_seen;

void traps_init(void) {
  for (u32 i = 0; i < ARRAY_SIZE(table) - 1; i++) {
    u8 vector = i < EXCEPTIONS ? (u8)i : more_vectors[i - EXCEPTIONS];
    u8 dpl = vector == VEC_BP || vector == VEC_OF ? 3 : 0;
    table[i] = (struct trap_info){vector, dpl, FLAT_CS64, vector_entries[i]};
  }
  if (xen_set_trap_table(table) != 0) emergency_print("set_trap_table failed\n");
}

void trap_set_handler(u32 vector, trap_handler handler) { handlers[vector] = handler; }

void trap_set_gate(u32 vector, u8 flags) {
  for (u32 i = 0; i < ARRAY_SIZE(table) - 1; i++)
    if (table[i].vector == vector) table[i].flags = flags;
  xen_set_trap_table(table);
}

void trap_set_syscall(trap_handler handler) {
  struct callback callback = {.type = CALLBACK_syscall, .flags = CALLBACKF_mask_events, .address = (u64)syscall_entry};
  syscall_handler = handler;
  xen_callback_op(CALLBACKOP_register, &callback);
}

void dump_regs(const struct regs *r) {
  printk("vector %lu error %lx cr2 %lx\n", r->vector, r->error, vcpu_info()->cr2);
  printk("rip %04x:%lx rflags %lx rsp %lx:%lx\n", r->cs, r->rip, r->rflags, r->ss, r->rsp);
  printk("rax %016lx rbx %016lx rcx %016lx rdx %016lx\n", r->rax, r->rbx, r->rcx, r->rdx);
  printk("rsi %016lx rdi %016lx rbp %016lx r8  %016lx\n", r->rsi, r->rdi, r->rbp, r->r8);
  printk("r9  %016lx r10 %016lx r11 %016lx r12 %016lx\n", r->r9, r->r10, r->r11, r->r12);
  printk("r13 %016lx r14 %016lx r15 %016lx\n", r->r13, r->r14, r->r15);
}

/** Continues at the address that the code said it wants after a fault here; false: it said none. */
static bool fixup(struct regs *regs) {
  if ((regs->cs & 3) == 3) return false; /* user mode has its own addresses */
  for (const struct fixup *f = fixups_start; f < fixups_end; f++) {
    if (f->from != regs->rip) continue;
    trap_seen = (struct trap_seen){true, regs->vector, regs->error, regs->rip, vcpu_info()->cr2,
                                   regs->cs, regs->saved_upcall_mask, vcpu_info()->upcall_mask};
    regs->rip = f->to;
    return true;
  }
  return false;
}

/** Makes the return from this trap land in the kernel, behind run_user(), instead of in the program. */
void user_end(struct regs *regs) {
  regs->rip = (u64)user_ended;
  regs->cs = FLAT_CS64 & ~3; /* ring 0 to Xen: kernel mode */
  regs->rsp = kernel_rsp;
  regs->ss = FLAT_SS;
  regs->rflags = RFLAGS_IF;
}

static bool handle(struct regs *regs) {
  if (regs->vector == VECTOR_SYSCALL) return syscall_handler && syscall_handler(regs);
  if (regs->vector >= ARRAY_SIZE(handlers)) return false;
  return handlers[regs->vector] && handlers[regs->vector](regs);
}

void trap_dispatch(struct regs *regs) {
  if (regs->vector == VECTOR_EVENT) {
    event_dispatch(regs);
    return;
  }
  if (handle(regs) || fixup(regs)) return;
  dump_regs(regs);
  panic("unexpected trap %lu", regs->vector);
}
