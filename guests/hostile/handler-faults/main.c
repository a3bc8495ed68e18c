/**
 * Hostile: a page-fault handler that faults, again and again, until its stack is used up; below lies an unmapped page.
 * Expected: crashed by the hypervisor, which cannot push the next frame.
 */
#include "kit.h"

static u8 guard_and_stack[9 * PAGE_SIZE] PAGE_ALIGNED;
static u64 depth;

static bool fault_again(struct regs *regs UNUSED) {
  depth++;
  *(volatile u64 *)0x1000 = depth;
  return true;
}

int main(void) {
  printk("HOSTILE handler-faults: expected: crash\n");
  remap(guard_and_stack, 0);
  trap_set_handler(VEC_PF, fault_again);
  __asm__ volatile("movq %0, %%rsp; movq %%rax, 0x1000" ::"r"(guard_and_stack + sizeof(guard_and_stack)) : "memory");
  return failure("the handler came back");
}
