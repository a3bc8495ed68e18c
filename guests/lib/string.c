/** The few string functions a compiler or a kernel cannot do without. */
#include "kit.h"

void *memset(void *to, int byte, size_t n) {
  void *start = to;
  __asm__ volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(byte) : "memory");
  return start;
}

void *memcpy(void *to, const void *from, size_t n) {
  void *start = to;
  __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n)::"memory");
  return start;
}

void *memmove(void *to, const void *from, size_t n) {
  u8 *d = to;
  const u8 *s = from;
  if (d <= s || d >= s + n) return memcpy(to, from, n);
  while (n--) d[n] = s[n];
  return to;
}

int memcmp(const void *a, const void *b, size_t n) {
  const u8 *x = a, *y = b;
  for (; n; n--, x++, y++)
    if (*x != *y) return *x - *y;
  return 0;
}

size_t strlen(const char *s) {
  size_t n = 0;
  while (s[n]) n++;
  return n;
}

int strcmp(const char *a, const char *b) {
  while (*a && *a == *b) a++, b++;
  return (u8)*a - (u8)*b;
}

int strncmp(const char *a, const char *b, size_t n) {
  while (n && *a && *a == *b) a++, b++, n--;
  return n ? (u8)*a - (u8)*b : 0;
}

char *strchr(const char *s, int c) {
  for (; *s; s++)
    if (*s == (char)c) return (char *)s;
  return NULL;
}

void strlcpy(char *to, const char *from, size_t size) {
  while (size > 1 && *from) *to++ = *from++, size--;
  if (size) *to = 0;
}

static int digit_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return 99;
}

bool parse_number(const char *text, u64 *value) {
  int base = 10;
  if (text[0] == '0' && text[1] == 'x') base = 16, text += 2;
  if (!*text) return false;
  u64 n = 0;
  for (; *text; text++) {
    int digit = digit_value(*text);
    if (digit >= base) return false;
    n = n * (u64)base + (u64)digit;
  }
  *value = n;
  return true;
}
