/**
 * The iret hypercall takes {rax, r11, rcx, flags, rip, cs, rflags, rsp, ss} from the stack. cs & 3 = 0 returns to the
 * kernel. rcx and r11 come from the frame unless VGCF_in_syscall is set in flags; all other registers stay; the upcall
 * mask becomes !IF; the IF that the kernel really runs with is always 1. A plain iretq within the kernel works as
 * well.
 */
#include "kit.h"

struct outcome { u64 rax, rcx, r11, rbx, rflags; };

/** Goes through the hypercall with recognisable values and says what arrived. */
static struct outcome through_iret(u64 frame_flags, u64 rflags) {
  struct outcome o;
  __asm__ volatile(
      "mov %%rsp, %%r12; mov %%ss, %%eax; push %%rax; push %%r12; push %6; pushq $0xe030; lea 1f(%%rip), %%rax; push %%rax;"
      "push %5; pushq $0x333; pushq $0x222; pushq $0x111; mov $0x444, %%ebx; mov $23, %%eax; syscall; ud2;"
      "1: pushf; pop %4"
      : "=&a"(o.rax), "=&c"(o.rcx), "=&b"(o.rbx), "=&r"(o.r11), "=&d"(o.rflags)
      : "r"(frame_flags), "r"(rflags)
      : "r11", "r12", "memory", "cc");
  return o;
}

static u64 r11_after_iret(void) {
  u64 r11;
  __asm__ volatile(
      "mov %%rsp, %%r12; mov %%ss, %%eax; push %%rax; push %%r12; pushq $0x202; pushq $0xe030; lea 1f(%%rip), %%rax; push %%rax;"
      "pushq $0; pushq $0x333; pushq $0x222; pushq $0x111; mov $23, %%eax; syscall; ud2; 1: mov %%r11, %0"
      : "=r"(r11)::"rax", "rcx", "r11", "r12", "memory", "cc");
  return r11;
}

static bool plain_iretq(void) {
  u64 flags;
  __asm__ volatile(
      "mov %%rsp, %%rdx; mov %%ss, %%eax; push %%rax; push %%rdx; pushq $0x203; mov %%cs, %%eax; push %%rax;"
      "lea 1f(%%rip), %%rax; push %%rax; iretq; ud2; 1: pushf; pop %0"
      : "=r"(flags)::"rax", "rdx", "memory", "cc");
  return flags & RFLAGS_CF;
}

int main(void) {
  struct outcome o = through_iret(0, RFLAGS_IF | RFLAGS_ONE | RFLAGS_CF | RFLAGS_ZF);
  CLAIM(o.rax == 0x111 && o.rcx == 0x333 && o.rbx == 0x444, "rax %lx rcx %lx rbx %lx", o.rax, o.rcx, o.rbx);
  CLAIM((o.rflags & (RFLAGS_CF | RFLAGS_ZF)) == (RFLAGS_CF | RFLAGS_ZF), "rflags %lx", o.rflags);
  CLAIM(r11_after_iret() == 0x222, "r11 %lx", r11_after_iret());
  CLAIM(!vcpu_info()->upcall_mask, "IF=1 leaves events masked");

  o = through_iret(0, RFLAGS_ONE);
  bool masked = vcpu_info()->upcall_mask;
  events_enable();
  CLAIM(masked, "IF=0 leaves events open");
  CLAIM(o.rflags & RFLAGS_IF, "the kernel runs with IF clear: rflags %lx", o.rflags);
  CLAIM(!(o.rflags & RFLAGS_CF), "old flags shine through: %lx", o.rflags);

  o = through_iret(0, RFLAGS_IF | RFLAGS_ONE | RFLAGS_IOPL);
  CLAIM(!(o.rflags & RFLAGS_IOPL), "a guest gave itself IOPL: rflags %lx", o.rflags);
  CLAIM(plain_iretq(), "iretq within the kernel loses flags");
  return success("registers, flags and the upcall mask");
}
