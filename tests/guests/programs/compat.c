/* A 32-bit program that puts a 64-bit kernel's compatibility mode to the test and prints one verdict.
 *
 * Built with `gcc -m32 -static`. Each check is a function that returns 0 if it did what a 386 does.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>
#include <asm/ldt.h>

typedef int (*check)(void);

static sigjmp_buf back;
static volatile int signals, last_trap;
static volatile uintptr_t last_address;

static void on_fault(int number, siginfo_t *info, void *context) {
  signals++;
  last_address = (uintptr_t)info->si_addr;
  last_trap = ((ucontext_t *)context)->uc_mcontext.gregs[REG_TRAPNO];
  siglongjmp(back, number);
}

static void catch_faults(void) {
  struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER};
  int numbers[] = {SIGSEGV, SIGFPE, SIGILL, SIGBUS, SIGTRAP};
  for (unsigned i = 0; i < sizeof numbers / sizeof *numbers; i++) sigaction(numbers[i], &action, 0);
}

/* ---- pages and signals */

/* Above the highest address of a 32-bit program: the stack, whose place is random, is never there. */
static int segfault(void) {
  int number = sigsetjmp(back, 1);
  if (number == 0) *(volatile int *)0xffffe234 = 1;
  return !(number == SIGSEGV && last_address == 0xffffe234 && last_trap == 14);
}

static int divide_error(void) {
  volatile int zero = 0;
  int number = sigsetjmp(back, 1);
  if (number == 0) zero = 7 / zero;
  return !(number == SIGFPE && last_trap == 0);
}

static int overflow_and_bound(void) {
  int number = sigsetjmp(back, 1);
  if (number == 0) __asm__ volatile("movb $0x7f, %%al; addb $1, %%al; into" ::: "eax", "cc");
  if (number != SIGSEGV || last_trap != 4) return 1;
  int bounds[2] = {1, 10};
  number = sigsetjmp(back, 1);
  if (number == 0) __asm__ volatile("bound %0, %1" ::"r"(11), "m"(bounds));
  return !(number == SIGSEGV && last_trap == 5);
}

static int undefined(void) {
  int number = sigsetjmp(back, 1);
  if (number == 0) __asm__ volatile("ud2");
  return !(number == SIGILL && last_trap == 6);
}

static int stepped;
static void on_step(int number) { stepped += number == SIGTRAP; }
static int single_step(void) {
  signal(SIGTRAP, on_step);
  __asm__ volatile("pushfl; orl $0x100, (%%esp); popfl; nop; nop; pushfl; andl $~0x100, (%%esp); popfl" ::: "cc", "memory");
  catch_faults();
  return stepped < 3;
}

static volatile int alarms;
static void on_alarm(int number) { alarms += number == SIGALRM; }
static int timer(void) {
  struct itimerval every = {{0, 2000}, {0, 2000}}, off = {{0, 0}, {0, 0}};
  signal(SIGALRM, on_alarm);
  setitimer(ITIMER_REAL, &every, 0);
  double sum = 0;
  while (alarms < 10) sum += 1.0 / 3;
  setitimer(ITIMER_REAL, &off, 0);
  return sum <= 0;
}

/* ---- system calls */

static int by_interrupt(int number, int a, int b, int c) {
  int result;
  __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(a), "c"(b), "d"(c) : "memory");
  return result;
}

static int by_vdso(int number) {
  int result;
  __asm__ volatile("call *%%gs:0x10" : "=a"(result) : "a"(number) : "memory");
  return result;
}

static int system_calls(void) {
  int pid = getpid();
  if (by_interrupt(SYS_getpid, 0, 0, 0) != pid || by_vdso(SYS_getpid) != pid) return 1;
  if (by_interrupt(SYS_close, -1, 0, 0) != -EBADF) return 2;
  struct timespec vdso_time, now;
  clock_gettime(CLOCK_MONOTONIC, &vdso_time);
  syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
  return now.tv_sec - vdso_time.tv_sec > 5;
}

static int vdso_uses_syscall(void) {
  const uint8_t *vdso = (const uint8_t *)getauxval(AT_SYSINFO_EHDR);
  const uint8_t *entry = (const uint8_t *)getauxval(AT_SYSINFO);
  if (vdso == 0 || memcmp(vdso, "\177ELF", 4) != 0) return 1;
  for (int i = 0; i < 16; i++)
    if (entry[i] == 0x0f && (entry[i + 1] == 0x05 || entry[i + 1] == 0x34)) return 0;
  return 2;
}

static int fork_and_pipe(void) {
  int ends[2], status;
  char text[16] = {0};
  if (pipe(ends) != 0) return 1;
  int child = fork();
  if (child == 0) {
    if (write(ends[1], "from the child", 15) != 15) _exit(1);
    _exit(42);
  }
  if (read(ends[0], text, sizeof text) != 15 || strcmp(text, "from the child") != 0) return 2;
  return !(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 42);
}

static int traced(void) {
  int status, child = fork();
  if (child == 0) {
    ptrace(PTRACE_TRACEME, 0, 0, 0);
    raise(SIGSTOP);
    __asm__ volatile("movl $0x12345678, %%esi; int3" ::: "esi");
    _exit(7);
  }
  struct user_regs_struct registers;
  waitpid(child, &status, 0);
  ptrace(PTRACE_CONT, child, 0, 0);
  waitpid(child, &status, 0);
  if (!WIFSTOPPED(status) || WSTOPSIG(status) != SIGTRAP) return 1;
  if (ptrace(PTRACE_GETREGS, child, 0, &registers) != 0) return 2;
  if (registers.esi != 0x12345678 || (registers.xcs & 0xffff) != 0x23) return 3;
  ptrace(PTRACE_CONT, child, 0, 0);
  waitpid(child, &status, 0);
  return !(WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

/* ---- threads and segments */

static __thread int own = 5;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int shared_count;

static void *worker(void *argument) {
  own = (int)(intptr_t)argument;
  for (int i = 0; i < 1000; i++) {
    pthread_mutex_lock(&mutex);
    shared_count++;
    pthread_mutex_unlock(&mutex);
    if (i % 100 == 0) sched_yield();
  }
  return (void *)(intptr_t)(own == (int)(intptr_t)argument);
}

static int threads(void) {
  pthread_t all[4];
  for (int i = 0; i < 4; i++)
    if (pthread_create(&all[i], 0, worker, (void *)(intptr_t)(i + 10)) != 0) return 1;
  for (int i = 0; i < 4; i++) {
    void *kept;
    pthread_join(all[i], &kept);
    if (!kept) return 2;
  }
  return !(own == 5 && shared_count == 4000);
}

/* A data segment of 16 bytes in the LDT: within it a load works, beyond it is #GP. */
static uint32_t small[8] = {0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88};
static int local_segment(void) {
  struct user_desc entry = {.entry_number = 2, .base_addr = (unsigned)(uintptr_t)small, .limit = 15,
                            .seg_32bit = 1, .useable = 1};
  if (syscall(SYS_modify_ldt, 1, &entry, sizeof entry) != 0) return 1;
  uint32_t value;
  __asm__ volatile("movw %1, %%fs; movl %%fs:8, %0" : "=r"(value) : "r"((uint16_t)(2 * 8 + 7)));
  if (value != 0x33) return 2;
  int number = sigsetjmp(back, 1);
  if (number == 0) __asm__ volatile("movl %%fs:13, %0" : "=r"(value));
  __asm__ volatile("movw %0, %%fs" ::"r"((uint16_t)0));
  return !(number == SIGSEGV && last_trap == 13);
}

/* ES with a base: string instructions and explicit operands go through it. */
static int based_strings(void) {
  struct user_desc entry = {.entry_number = 3, .base_addr = (unsigned)(uintptr_t)small, .limit = 31,
                            .seg_32bit = 1, .useable = 1};
  if (syscall(SYS_modify_ldt, 1, &entry, sizeof entry) != 0) return 1;
  uint32_t source[4] = {1, 2, 3, 4}, count = 4, seen;
  const uint32_t *from = source;
  uint32_t to = 16;
  __asm__ volatile(
      "pushl %%es; movw %4, %%es; rep movsl; movl %%es:20, %3; popl %%es"
      : "+c"(count), "+S"(from), "+D"(to), "=&r"(seen)
      : "r"((uint16_t)(3 * 8 + 7))
      : "memory");
  return !(seen == 2 && to == 32 && count == 0 && small[7] == 4 && small[3] == 0x44);
}

/* A far call into 64-bit code and back: what 32-bit programs of the past called heaven's gate. */
static int both_modes(void) {
  uint32_t low, high;
  __asm__ volatile(
      "lcall $0x33, $1f\n"
      "jmp 2f\n"
      "1: .byte 0x48, 0xb8, 0xef, 0xcd, 0xab, 0x89, 0x67, 0x45, 0x23, 0x01\n" /* movabs $0x0123456789abcdef, %rax */
      ".byte 0x48, 0x89, 0xc2, 0x48, 0xc1, 0xea, 0x20\n"                      /* mov %rax, %rdx; shr $32, %rdx */
      "lretl\n"
      "2:\n"
      : "=a"(low), "=d"(high)::"memory");
  return !(low == 0x89abcdef && high == 0x01234567);
}

/* ---- arithmetic */

static int wide_integers(void) {
  volatile uint64_t a = 0xfedcba9876543210ull, b = 0x123456789ull;
  volatile int64_t c = -1000000000000ll;
  return !(a / b == 0xe0000000ull && a % b == 0x96543210ull && a * b == 0xcccccccce1833a90ull && (a << 13) >> 20 == 0x97530eca864ull &&
           c / 7 == -142857142857ll && c % 7 == -1);
}

static int decimal(void) {
  uint32_t result;
  __asm__("movb $0x38, %%al; addb $0x45, %%al; daa" : "=a"(result) : "a"(0) : "cc");
  if ((result & 0xff) != 0x83) return 1;
  __asm__("movb $97, %%al; aam" : "=a"(result) : "a"(0) : "cc");
  return result != 0x0907;
}

typedef float quad __attribute__((vector_size(16)));

static int floating(void) {
  volatile long double x = 2;
  long double root;
  __asm__("fsqrt" : "=t"(root) : "0"(x));
  if (root * root - 2 > 1e-18L || root * root - 2 < -1e-18L) return 1;
  volatile quad a = {1, 2, 3, 4}, b = {0.5f, 0.25f, 0.125f, 8};
  quad c = a * b;
  if (c[0] != 0.5f || c[1] != 0.5f || c[2] != 0.375f || c[3] != 32) return 2;
  double sum = 0;
  for (int i = 1; i <= 1000; i++) sum += 1.0 / i;
  char text[32];
  snprintf(text, sizeof text, "%.9f", sum);
  return strcmp(text, "7.485470861") != 0;
}

static int heap(void) {
  uint32_t seed = 1, check = 0;
  for (int i = 0; i < 200; i++) {
    seed = seed * 1103515245 + 12345;
    unsigned bytes = seed >> 12 & 0xffff;
    uint8_t *block = malloc(bytes + 1);
    memset(block, i, bytes + 1);
    check += block[bytes / 2];
    if (i % 3) free(block);
  }
  void *high = mmap((void *)0xf0000000, 0x10000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  if (high != (void *)0xf0000000) return 1;
  memset(high, 7, 0x10000);
  return !(check == 19900 && ((uint8_t *)high)[0xffff] == 7);
}

static const struct { const char *name; check run; } checks[] = {
  {"segfault", segfault}, {"divide_error", divide_error}, {"overflow_and_bound", overflow_and_bound},
  {"undefined", undefined}, {"single_step", single_step}, {"timer", timer}, {"system_calls", system_calls},
  {"vdso_uses_syscall", vdso_uses_syscall}, {"fork_and_pipe", fork_and_pipe}, {"traced", traced},
  {"threads", threads}, {"local_segment", local_segment}, {"based_strings", based_strings},
  {"both_modes", both_modes}, {"wide_integers", wide_integers}, {"decimal", decimal},
  {"floating", floating}, {"heap", heap},
};

int main(void) {
  int failed = 0;
  catch_faults();
  setvbuf(stdout, 0, _IONBF, 0);
  for (unsigned i = 0; i < sizeof checks / sizeof *checks; i++) {
    int result = checks[i].run();
    printf("%s: %s %d\n", checks[i].name, result ? "FAILED" : "ok", result);
    failed += result != 0;
  }
  printf("COMPAT-VERDICT %s %u\n", failed ? "failure" : "success", (unsigned)(sizeof checks / sizeof *checks));
  return failed;
}
