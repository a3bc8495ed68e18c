/**
 * ticker: a clock that shrugs off exceptions.
 *
 * ABI shown: VIRQ_TIMER bound to an event channel and armed by set_timer_op with an absolute system time; exceptions bounced
 * to the handlers of set_trap_table with rip at the faulting instruction (#UD, #DE) or after it (#BP); the iret hypercall back.
 * Command line: ticks=N (default 10), period=ms (default 100).
 */
#include "kit.h"

static u32 seen_ud, seen_de, seen_bp;

static bool on_invalid_opcode(struct regs *regs) {
  seen_ud++;
  regs->rip += 2; /* over ud2 */
  return true;
}

static bool on_divide_error(struct regs *regs) {
  seen_de++;
  regs->rcx = 1; /* a divisor that works: the same instruction runs again */
  return true;
}

static bool on_breakpoint(struct regs *regs UNUSED) {
  seen_bp++;
  return true; /* a trap: rip is already behind it */
}

static u64 divide_by_zero(void) {
  u64 quotient = 42, divisor = 0, remainder = 0;
  __asm__ volatile("divq %%rcx" : "+a"(quotient), "+c"(divisor), "+d"(remainder));
  return quotient;
}

/** One deliberate exception of each kind. */
static bool fall_over(void) {
  __asm__ volatile("ud2");
  __asm__ volatile("int3");
  return divide_by_zero() == 42;
}

int main(void) {
  u64 ticks = cmdline_number("ticks", 10), period = cmdline_number("period", 100) * 1000000, worst = 0;
  trap_set_handler(VEC_UD, on_invalid_opcode);
  trap_set_handler(VEC_DE, on_divide_error);
  trap_set_handler(VEC_BP, on_breakpoint);

  u64 start = now();
  for (u64 i = 1; i <= ticks; i++) {
    sleep_until(start + i * period);
    u64 late = now() - (start + i * period);
    if (late > worst) worst = late;
    CLAIM(fall_over(), "tick %lu: the division went wrong", i);
    printk("tick %lu at %lu ms, %lu ns late, %u traps survived\n", i, (now() - start) / 1000000, late,
           seen_ud + seen_de + seen_bp);
  }
  CLAIM(seen_ud == ticks && seen_de == ticks && seen_bp == ticks, "%lu ticks, but %u #UD, %u #DE, %u #BP", ticks, seen_ud,
        seen_de, seen_bp);
  CLAIM(timer_count() > 0, "%lu ticks without a timer event", ticks); /* who is late need not wait for one */
  return success("%lu ticks, %u traps survived, worst lateness %lu ns", ticks, seen_ud + seen_de + seen_bp, worst);
}
