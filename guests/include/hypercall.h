/**
 * The way into Xen: SYSCALL with the number in rax and arguments in rdi, rsi, rdx, r10, r8; the result comes back in rax.
 * rcx and r11 are destroyed. Callers must not count on the argument registers either (debug builds of Xen poison them).
 */
#pragma once
#include "types.h"
#include "xen.h"

static inline s64 hypercall5(u64 nr, u64 a1, u64 a2, u64 a3, u64 a4, u64 a5) {
  register u64 r10 __asm__("r10") = a4;
  register u64 r8 __asm__("r8") = a5;
  s64 result;
  __asm__ volatile("syscall"
                   : "=a"(result), "+D"(a1), "+S"(a2), "+d"(a3), "+r"(r10), "+r"(r8)
                   : "0"(nr)
                   : "rcx", "r11", "memory");
  return result;
}

#define HYPERCALL1(nr, a)          hypercall5(nr, (u64)(a), 0, 0, 0, 0)
#define HYPERCALL2(nr, a, b)       hypercall5(nr, (u64)(a), (u64)(b), 0, 0, 0)
#define HYPERCALL3(nr, a, b, c)    hypercall5(nr, (u64)(a), (u64)(b), (u64)(c), 0, 0)
#define HYPERCALL4(nr, a, b, c, d) hypercall5(nr, (u64)(a), (u64)(b), (u64)(c), (u64)(d), 0)

static inline s64 xen_set_trap_table(const struct trap_info *table) { return HYPERCALL1(HC_set_trap_table, table); }
static inline s64 xen_mmu_update(struct mmu_update *req, u32 count, u32 *done, u16 dom) {
  return HYPERCALL4(HC_mmu_update, req, count, done, dom);
}
static inline s64 xen_mmuext_op(struct mmuext_op *ops, u32 count, u32 *done, u16 dom) {
  return HYPERCALL4(HC_mmuext_op, ops, count, done, dom);
}
static inline s64 xen_update_va_mapping(u64 va, u64 pte, u64 flags) {
  return HYPERCALL3(HC_update_va_mapping, va, pte, flags);
}
static inline s64 xen_memory_op(u32 cmd, void *arg) { return HYPERCALL2(HC_memory_op, cmd, arg); }
static inline s64 xen_stack_switch(u64 ss, u64 rsp) { return HYPERCALL2(HC_stack_switch, ss, rsp); }
static inline s64 xen_set_segment_base(u32 which, u64 base) { return HYPERCALL2(HC_set_segment_base, which, base); }
static inline s64 xen_version(u32 cmd, void *arg) { return HYPERCALL2(HC_xen_version, cmd, arg); }
static inline s64 xen_console_io(u32 cmd, u64 count, const char *text) {
  return HYPERCALL3(HC_console_io, cmd, count, text);
}
static inline s64 xen_grant_table_op(u32 cmd, void *arg, u32 count) {
  return HYPERCALL3(HC_grant_table_op, cmd, arg, count);
}
static inline s64 xen_vm_assist(u32 cmd, u32 type) { return HYPERCALL2(HC_vm_assist, cmd, type); }
static inline s64 xen_vcpu_op(u32 cmd, u32 vcpu, void *arg) { return HYPERCALL3(HC_vcpu_op, cmd, vcpu, arg); }
static inline s64 xen_sched_op(u32 cmd, void *arg) { return HYPERCALL2(HC_sched_op, cmd, arg); }
static inline s64 xen_callback_op(u32 cmd, void *arg) { return HYPERCALL2(HC_callback_op, cmd, arg); }
static inline s64 xen_event_channel_op(u32 cmd, void *arg) { return HYPERCALL2(HC_event_channel_op, cmd, arg); }
static inline s64 xen_set_timer_op(u64 deadline) { return HYPERCALL1(HC_set_timer_op, deadline); }
static inline s64 xen_multicall(struct multicall_entry *calls, u32 count) {
  return HYPERCALL2(HC_multicall, calls, count);
}
