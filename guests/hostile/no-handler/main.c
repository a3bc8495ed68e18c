/**
 * Hostile: takes its trap table away and then faults.
 * Expected: crashed by the hypervisor, which has nobody to hand the exception to.
 */
#include "kit.h"

int main(void) {
  printk("HOSTILE no-handler: expected: crash\n");
  xen_set_trap_table(NULL);
  __asm__ volatile("ud2");
  return failure("the exception went nowhere");
}
