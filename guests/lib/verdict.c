/** The one line a test or benchmark prints. */
#include "kit.h"

static void verdict(const char *word, const char *format, __builtin_va_list args) {
  char why[256];
  vsnprintk(why, sizeof(why), format, args);
  printk("VERDICT: %s: %s\n", word, why);
}

int success(const char *format, ...) {
  __builtin_va_list args;
  __builtin_va_start(args, format);
  verdict("success", format, args);
  __builtin_va_end(args);
  return 0;
}

int failure(const char *format, ...) {
  __builtin_va_list args;
  __builtin_va_start(args, format);
  verdict("failure", format, args);
  __builtin_va_end(args);
  return 0; /* the verdict is the message; the domain still powers off in order */
}

void bench(const char *name, u64 value, const char *unit) { printk("BENCH %s %lu %s\n", name, value, unit); }
