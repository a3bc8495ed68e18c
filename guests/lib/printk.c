/** printk: %d %u %x %p %s %c with l, width and zero padding. One call makes one write to the console. */
#include "kit.h"

struct sink {
  char *to;
  size_t size, used;
};

static void put(struct sink *sink, char c) {
  if (sink->used + 1 < sink->size) sink->to[sink->used] = c;
  sink->used++;
}

static void put_padded(struct sink *sink, const char *text, size_t n, int width, char pad, bool left) {
  int fill = width > (int)n ? width - (int)n : 0;
  while (!left && fill-- > 0) put(sink, pad);
  for (size_t i = 0; i < n; i++) put(sink, text[i]);
  while (left && fill-- > 0) put(sink, ' ');
}

/** Writes `value` backwards from the end of a buffer; returns where it starts. */
static char *format_number(char *end, u64 value, u32 base, bool negative) {
  *end = 0;
  do {
    *--end = "0123456789abcdef"[value % base];
    value /= base;
  } while (value);
  if (negative) *--end = '-';
  return end;
}

struct spec {
  int width;
  char pad;
  bool left, wide;
};

static const char *parse_spec(const char *f, struct spec *spec) {
  *spec = (struct spec){.pad = ' '};
  for (;; f++) {
    if (*f == '-') spec->left = true;
    else if (*f == '0') spec->pad = '0';
    else break;
  }
  while (*f >= '0' && *f <= '9') spec->width = spec->width * 10 + (*f++ - '0');
  while (*f == 'l' || *f == 'z') spec->wide = true, f++;
  return f;
}

int vsnprintk(char *to, size_t size, const char *f, __builtin_va_list args) {
  struct sink sink = {to, size, 0};
  char digits[32], *end = digits + sizeof(digits) - 1;
  for (; *f; f++) {
    if (*f != '%') {
      put(&sink, *f);
      continue;
    }
    struct spec spec;
    f = parse_spec(f + 1, &spec);
    const char *text = end;
    if (*f == 's') {
      text = __builtin_va_arg(args, const char *);
      if (!text) text = "(null)";
    } else if (*f == 'c') {
      *end = 0;
      end[-1] = (char)__builtin_va_arg(args, int);
      text = end - 1;
    } else if (*f == 'd') {
      s64 v = spec.wide ? __builtin_va_arg(args, s64) : __builtin_va_arg(args, int);
      text = format_number(end, v < 0 ? -(u64)v : (u64)v, 10, v < 0);
    } else if (*f == 'u' || *f == 'x') {
      u64 v = spec.wide ? __builtin_va_arg(args, u64) : __builtin_va_arg(args, u32);
      text = format_number(end, v, *f == 'x' ? 16 : 10, false);
    } else if (*f == 'p') {
      text = format_number(end, (u64)__builtin_va_arg(args, void *), 16, false);
      spec.width = 16, spec.pad = '0';
    } else {
      text = "%";
    }
    put_padded(&sink, text, strlen(text), spec.width, spec.pad, spec.left);
  }
  if (size) to[sink.used < size ? sink.used : size - 1] = 0;
  return (int)sink.used;
}

int snprintk(char *to, size_t size, const char *format, ...) {
  __builtin_va_list args;
  __builtin_va_start(args, format);
  int n = vsnprintk(to, size, format, args);
  __builtin_va_end(args);
  return n;
}

static void print_line(const char *format, __builtin_va_list args) {
  char line[512];
  vsnprintk(line, sizeof(line), format, args);
  console_write(line, strlen(line));
}

void printk(const char *format, ...) {
  __builtin_va_list args;
  __builtin_va_start(args, format);
  print_line(format, args);
  __builtin_va_end(args);
}

void panic(const char *format, ...) {
  __builtin_va_list args;
  __builtin_va_start(args, format);
  console_write("panic: ", 7);
  print_line(format, args);
  console_write("\n", 1);
  console_flush();
  shutdown(SHUTDOWN_crash);
}
