/**
 * INT n obeys the DPL of the guest's own trap table: the kernel may use gates with DPL 1 or more (to Xen it is not
 * ring 0), user mode only gates with DPL 3. Anything else is #GP with error code n * 8 + 2 at the instruction itself;
 * a gate that permits is entered with rip behind it.
 */
#include "kit.h"

#define CODE  0x400000UL
#define STACK 0x7ffff000UL

static u64 seen_vector, seen_error, seen_rip;
static u8 trap_stack[8192] PAGE_ALIGNED;

static bool on_trap(struct regs *regs) {
  if ((regs->cs & 3) != 3) return false;
  seen_vector = regs->vector;
  seen_error = regs->error;
  seen_rip = regs->rip;
  user_end(regs);
  return true;
}

/** Runs two bytes of user code. */
static s64 run_in_user_mode(u8 first, u8 second) {
  u8 *code = page_alloc();
  code[0] = first;
  code[1] = second;
  code[2] = 0x0f; /* ud2, if the instruction does nothing */
  code[3] = 0x0b;
  u64 *space = user_space_create();
  s64 result = user_space_map(space, CODE, code, PTE_USER_RO) ?: user_space_map(space, STACK, page_alloc(), PTE_USER_RW);
  if (result || (result = set_user_base(space))) return result;
  struct regs regs = {.rip = CODE, .cs = FLAT_CS64, .ss = FLAT_SS, .rsp = STACK + PAGE_SIZE, .rflags = RFLAGS_IF};
  seen_vector = ~0UL;
  run_user(&regs);
  set_user_base(NULL);
  user_space_destroy(space);
  return 0;
}

int main(void) {
  static const u8 vectors[] = {VEC_DE, VEC_DB, VEC_BP, VEC_OF, VEC_UD, VEC_GP, VEC_PF, 32, 128};
  for (u32 i = 0; i < ARRAY_SIZE(vectors); i++) trap_set_handler(vectors[i], on_trap);
  xen_stack_switch(FLAT_SS, (u64)trap_stack + sizeof(trap_stack));

  bool hit = PROBE("int $32");
  CLAIM(hit && trap_seen.vector == VEC_GP && trap_seen.error == 32 * 8 + 2, "kernel INT 32, DPL 0: vector %lu error %lx",
        trap_seen.vector, trap_seen.error);
  trap_set_gate(32, 1);
  hit = PROBE("int $32");
  CLAIM(hit && trap_seen.vector == 32 && trap_seen.error == 0, "kernel INT 32, DPL 1: vector %lu error %lx", trap_seen.vector,
        trap_seen.error);

  CLAIM(run_in_user_mode(0xcd, 32) == 0, "cannot run user code");
  CLAIM(seen_vector == VEC_GP && seen_error == 32 * 8 + 2 && seen_rip == CODE, "user INT 32, DPL 1: vector %lu error %lx rip %lx",
        seen_vector, seen_error, seen_rip);
  trap_set_gate(32, 3);
  run_in_user_mode(0xcd, 32);
  CLAIM(seen_vector == 32 && seen_rip == CODE + 2, "user INT 32, DPL 3: vector %lu rip %lx", seen_vector, seen_rip);
  run_in_user_mode(0xcd, 128);
  CLAIM(seen_vector == VEC_GP && seen_error == 128 * 8 + 2, "user INT 128, DPL 0: vector %lu error %lx", seen_vector, seen_error);
  trap_set_gate(128, 3);
  run_in_user_mode(0xcd, 128);
  CLAIM(seen_vector == 128 && seen_rip == CODE + 2, "user INT 128, DPL 3: vector %lu rip %lx", seen_vector, seen_rip);
  run_in_user_mode(0xcc, 0x90);
  CLAIM(seen_vector == VEC_BP && seen_rip == CODE + 1, "user INT3: vector %lu rip %lx", seen_vector, seen_rip);
  run_in_user_mode(0xcd, VEC_PF);
  CLAIM(seen_vector == VEC_GP && seen_error == VEC_PF * 8 + 2, "user INT 14: vector %lu error %lx", seen_vector, seen_error);
  return success("the kernel uses gates from DPL 1, user mode those with DPL 3");
}
