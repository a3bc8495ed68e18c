/**
 * Hostile: tells Xen that its kernel stack lies where nothing is mapped, then faults in user mode.
 * Expected: crashed by the hypervisor, which cannot push the frame.
 */
#include "kit.h"

#define CODE 0x400000UL

int main(void) {
  printk("HOSTILE bad-stack: expected: crash\n");
  u8 *code = page_alloc();
  code[0] = 0x0f; /* ud2 */
  code[1] = 0x0b;
  u64 *space = user_space_create();
  user_space_map(space, CODE, code, PTE_USER_RO);
  set_user_base(space);
  xen_stack_switch(FLAT_SS, 0x1000);
  struct regs regs = {.rip = CODE, .cs = FLAT_CS64, .ss = FLAT_SS, .rsp = CODE, .rflags = RFLAGS_IF};
  run_user(&regs);
  return failure("the exception found a stack");
}
