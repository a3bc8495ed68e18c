/**
 * Hostile: a stack whose top is mapped just above Xen's range, so that the next frame runs down into it.
 * Expected: crashed by the hypervisor; Xen's memory is not written.
 */
#include "kit.h"

int main(void) {
  printk("HOSTILE stack-in-xen: expected: crash\n");
  s64 result = user_space_map(kernel_l4(), XEN_VIRT_END, page_alloc(), PTE_KERNEL_RW);
  if (result) return failure("cannot map the page above Xen: %ld", result);
  *(volatile u64 *)XEN_VIRT_END = 1;
  __asm__ volatile("movq %0, %%rsp; ud2" ::"r"(XEN_VIRT_END + 16) : "memory");
  return failure("a frame went into Xen's range");
}
