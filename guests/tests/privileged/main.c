/**
 * Privileged instructions of a PV kernel. Some Xen carries out on the kernel's behalf: control and debug registers,
 * MSRs, CLTS, WBINVD, and, once the kernel has virtual IOPL, CLI, STI (which do nothing) and port I/O. All others are
 * #GP(0): there are hypercalls for them. POPF never changes IF. An unknown MSR is #GP.
 */
#include "kit.h"

#define PHYSDEVOP_set_iopl 6
#define MSR_EFER    0xc0000080
#define MSR_UNKNOWN 0xdeadbeef
#define CR0_PE 1UL
#define CR0_TS 8UL
#define CR0_PG 0x80000000UL

static bool gp(bool hit) { return hit && trap_seen.vector == VEC_GP && trap_seen.error == 0; }

#define READ_CR(n)                                            \
  ({                                                          \
    u64 value_;                                               \
    __asm__ volatile("mov %%cr" #n ", %0" : "=r"(value_));    \
    value_;                                                   \
  })

static u64 read_msr(u32 msr) {
  u32 lo, hi;
  __asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
  return (u64)hi << 32 | lo;
}

static u64 flags_after_popf(u64 flags) {
  u64 result;
  __asm__ volatile("pushfq; pushq %1; popfq; pushfq; popq %0; popfq" : "=r"(result) : "r"(flags) : "memory", "cc");
  return result;
}

static int control_registers(void) {
  CLAIM((READ_CR(0) & (CR0_PE | CR0_PG)) == (CR0_PE | CR0_PG), "cr0 %lx", READ_CR(0));
  CLAIM(READ_CR(3) >> PAGE_SHIFT == va_to_mfn(kernel_l4()), "cr3 %lx", READ_CR(3));
  CLAIM(READ_CR(4) & (1 << 5), "cr4 %lx has no PAE", READ_CR(4));
  u64 value;
  probe_read((void *)0x12345000, &value);
  CLAIM(READ_CR(2) == 0x12345000, "cr2 %lx", READ_CR(2));
  CLAIM(!PROBE("mov %0, %%cr0", "r"(READ_CR(0) | CR0_TS)), "cannot set TS");
  CLAIM(READ_CR(0) & CR0_TS, "TS is not set");
  CLAIM(!PROBE("clts") && !(READ_CR(0) & CR0_TS), "CLTS");
  CLAIM(gp(PROBE("mov %0, %%cr0", "r"(READ_CR(0) & ~CR0_PG))), "paging switched off");
  CLAIM(!PROBE("mov %0, %%cr4", "r"(READ_CR(4))), "cr4 written back");
  CLAIM(!PROBE("mov %0, %%cr3", "r"(READ_CR(3))), "cr3 written back");
  CLAIM(!PROBE("mov %%dr7, %%rax; mov %%dr6, %%rax", "a"(0)), "debug registers");
  return -1;
}

static int refused(void) {
  static struct { u16 limit; u64 base; } PACKED table;
  CLAIM(gp(PROBE("hlt")), "HLT");
  CLAIM(gp(PROBE("invlpg (%0)", "r"(&table))), "INVLPG");
  CLAIM(gp(PROBE("lgdt (%0)", "r"(&table))), "LGDT");
  CLAIM(gp(PROBE("lidt (%0)", "r"(&table))), "LIDT");
  CLAIM(gp(PROBE("lldt %w0", "r"(0))), "LLDT");
  CLAIM(gp(PROBE("ltr %w0", "r"(8))), "LTR");
  CLAIM(gp(PROBE("lmsw %w0", "r"(1))), "LMSW");
  CLAIM(gp(PROBE("swapgs")), "SWAPGS");
  CLAIM(gp(PROBE("cli")), "CLI without IOPL");
  CLAIM(gp(PROBE("sti")), "STI without IOPL");
  CLAIM(gp(PROBE("inb $0x80, %%al", "a"(0))), "IN without IOPL");
  CLAIM(gp(PROBE("outb %%al, $0x80", "a"(0))), "OUT without IOPL");
  CLAIM(gp(PROBE("rdmsr", "a"(0), "d"(0), "c"(MSR_UNKNOWN))), "RDMSR of an unknown register");
  CLAIM(gp(PROBE("wrmsr", "a"(0), "d"(0), "c"(MSR_UNKNOWN))), "WRMSR of an unknown register");
  return -1;
}

static int with_iopl(void) {
  u32 iopl = 1;
  CLAIM(HYPERCALL2(HC_physdev_op, PHYSDEVOP_set_iopl, &iopl) == 0, "set_iopl(1)");
  CLAIM(!PROBE("cli"), "CLI with IOPL 1");
  CLAIM(!vcpu_info()->upcall_mask, "CLI masked events");
  CLAIM(!PROBE("sti"), "STI with IOPL 1");
  CLAIM(!PROBE("inb $0x80, %%al", "a"(0)), "IN with IOPL 1");
  CLAIM(!PROBE("outb %%al, $0x80", "a"(0)), "OUT with IOPL 1");
  iopl = 0;
  CLAIM(HYPERCALL2(HC_physdev_op, PHYSDEVOP_set_iopl, &iopl) == 0 && gp(PROBE("cli")), "set_iopl(0)");
  iopl = 4;
  CLAIM(HYPERCALL2(HC_physdev_op, PHYSDEVOP_set_iopl, &iopl) == -EINVAL, "set_iopl(4)");
  return -1;
}

int main(void) {
  if (control_registers() >= 0 || refused() >= 0 || with_iopl() >= 0) return 0;
  CLAIM((read_msr(MSR_EFER) & 0x501) == 0x501, "EFER %lx", read_msr(MSR_EFER));
  CLAIM(!PROBE("wbinvd"), "WBINVD");
  CLAIM(flags_after_popf(RFLAGS_ONE) & RFLAGS_IF, "POPF cleared IF");
  CLAIM(!(flags_after_popf(RFLAGS_ONE | RFLAGS_IF | RFLAGS_IOPL) & RFLAGS_IOPL), "POPF set IOPL");
  return success("control registers, MSRs, IOPL, what is refused");
}
