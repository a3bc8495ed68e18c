/*
 * A Linux program that works the kernel's memory management and signals: mappings that come, go and change their rights under
 * their users, copy-on-write between processes, faults that a handler mends, timers and signals that are counted. It checks
 * every result and prints one verdict.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096ul
#define CLAIM(condition, ...)                       \
  do {                                              \
    if (!(condition)) {                             \
      printf("VERDICT: failure: " __VA_ARGS__);     \
      printf(" (line %d)\n", __LINE__);             \
      exit(1);                                      \
    }                                               \
  } while (0)

static uint64_t state = 88172645463325252ull;
static uint64_t random64(void) {
  state ^= state << 13;
  state ^= state >> 7;
  return state ^= state << 17;
}

static char *map(size_t pages, int rights, int flags) {
  void *at = mmap(NULL, pages * PAGE, rights, MAP_ANONYMOUS | flags, -1, 0);
  CLAIM(at != MAP_FAILED, "mmap of %zu pages", pages);
  return at;
}

/* Mappings at random, each page tagged with its owner's number; what is unmapped and mapped anew is zero. */
static void mappings(int rounds) {
  enum { SLOTS = 32 };
  struct { char *at; size_t pages; uint64_t tag; } slot[SLOTS] = {0};
  for (int round = 0; round < rounds; round++) {
    int n = random64() % SLOTS;
    if (slot[n].at) {
      for (size_t page = 0; page < slot[n].pages; page++) {
        uint64_t found = *(uint64_t *)(slot[n].at + page * PAGE);
        CLAIM(found == slot[n].tag + page, "slot %d page %zu holds %lx", n, page, found);
      }
      CLAIM(munmap(slot[n].at, slot[n].pages * PAGE) == 0, "munmap");
    }
    slot[n].pages = 1 + random64() % 24;
    slot[n].tag = random64();
    slot[n].at = map(slot[n].pages, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    for (size_t page = 0; page < slot[n].pages; page++) {
      uint64_t *word = (uint64_t *)(slot[n].at + page * PAGE);
      CLAIM(*word == 0, "a fresh page holds %lx", *word);
      *word = slot[n].tag + page;
    }
  }
  for (int n = 0; n < SLOTS; n++) if (slot[n].at) munmap(slot[n].at, slot[n].pages * PAGE);
}

static volatile int mended;
static void mend(int signal, siginfo_t *info, void *context) {
  (void)signal, (void)context;
  char *page = (char *)((uintptr_t)info->si_addr & ~(PAGE - 1));
  if (mprotect(page, PAGE, PROT_READ | PROT_WRITE) != 0) _exit(2);
  mended++;
}

/* Every other page is read-only; a handler mends each fault, and the store is made. */
static void rights(int pages) {
  struct sigaction action = {.sa_sigaction = mend, .sa_flags = SA_SIGINFO}, old;
  sigaction(SIGSEGV, &action, &old);
  char *at = map(pages, PROT_READ | PROT_WRITE, MAP_PRIVATE);
  for (int page = 0; page < pages; page += 2) mprotect(at + page * PAGE, PAGE, PROT_READ);
  for (int page = 0; page < pages; page++) at[page * PAGE] = (char)page;
  for (int page = 0; page < pages; page++) CLAIM(at[page * PAGE] == (char)page, "page %d", page);
  CLAIM(mended == (pages + 1) / 2, "%d faults mended of %d", mended, (pages + 1) / 2);
  munmap(at, pages * PAGE);
  sigaction(SIGSEGV, &old, NULL);
}

/* Children write to private and shared pages; the parent sees only the shared ones change. */
static void copies(int children) {
  char *private = map(64, PROT_READ | PROT_WRITE, MAP_PRIVATE);
  char *shared = map(64, PROT_READ | PROT_WRITE, MAP_SHARED);
  memset(private, 1, 64 * PAGE);
  for (int child = 0; child < children; child++) {
    pid_t pid = fork();
    CLAIM(pid >= 0, "fork");
    if (pid == 0) {
      for (int page = 0; page < 64; page++) private[page * PAGE] += page + child;
      shared[child % 64 * PAGE] += 1;
      int sum = 0;
      for (int page = 0; page < 64; page++) sum += (unsigned char)private[page * PAGE] - 1;
      _exit(sum == 64 * 63 / 2 + 64 * child ? 7 : 8);
    }
    int status;
    CLAIM(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 7, "child %d: %x", child, status);
  }
  for (int page = 0; page < 64; page++) CLAIM(private[page * PAGE] == 1, "a private page changed");
  int seen = 0;
  for (int page = 0; page < 64; page++) seen += shared[page * PAGE];
  CLAIM(seen == children, "%d children seen of %d", seen, children);
}

static volatile sig_atomic_t ticks, users;
static void tick(int signal) { (void)signal, ticks++; }
static void user(int signal, siginfo_t *info, void *context) { (void)signal, (void)context; users += info->si_value.sival_int; }

/* Queued signals all arrive, each with its value, while a timer interrupts whatever runs. */
static void signals(int count) {
  struct sigaction alarm = {.sa_handler = tick, .sa_flags = SA_RESTART};
  struct sigaction queued = {.sa_sigaction = user, .sa_flags = SA_SIGINFO};
  sigaction(SIGALRM, &alarm, NULL);
  sigaction(SIGRTMIN, &queued, NULL);
  struct itimerval every = {{0, 2000}, {0, 2000}};
  setitimer(ITIMER_REAL, &every, NULL);
  for (int n = 0; n < count; n++) {
    union sigval value = {.sival_int = n};
    CLAIM(sigqueue(getpid(), SIGRTMIN, value) == 0, "sigqueue");
  }
  CLAIM(users == count * (count - 1) / 2, "values add up to %d", (int)users);
  double sum = 0;
  for (int until = ticks + 20; ticks < until;) /* in registers that handlers must keep */
    for (int i = 1; i < 100000; i++) sum += 1.0 / i;
  struct itimerval never = {0};
  setitimer(ITIMER_REAL, &never, NULL);
  CLAIM(sum > 12, "sum %f", sum);
}

/* Traps: each comes as its signal, and the program goes on. */
static sigjmp_buf back;
static void leave(int signal) { siglongjmp(back, signal); }

static void traps(void) {
  struct sigaction action = {.sa_handler = leave, .sa_flags = SA_NODEFER};
  sigaction(SIGFPE, &action, NULL);
  sigaction(SIGILL, &action, NULL);
  sigaction(SIGSEGV, &action, NULL);
  sigaction(SIGTRAP, &action, NULL);
  volatile int seven = 7, zero = 0;
  for (int round = 0; round < 50; round++) {
    int got = sigsetjmp(back, 1);
    if (got == 0) seven = seven / zero;
    CLAIM(got == SIGFPE, "a division by zero: %d", got);
    got = sigsetjmp(back, 1);
    if (got == 0) __asm__ volatile("ud2");
    CLAIM(got == SIGILL, "ud2: %d", got);
    got = sigsetjmp(back, 1);
    if (got == 0) __asm__ volatile("hlt");
    CLAIM(got == SIGSEGV, "hlt: %d", got);
    got = sigsetjmp(back, 1);
    if (got == 0) *(volatile char *)0xffff800000000000ull = 1;
    CLAIM(got == SIGSEGV, "a store to the hypervisor: %d", got);
    got = sigsetjmp(back, 1);
    if (got == 0) __asm__ volatile("int3");
    CLAIM(got == SIGTRAP, "int3: %d", got);
  }
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long counted;
static __thread long own;
static void *count(void *times) {
  for (long n = 0; n < (long)times; n++) {
    pthread_mutex_lock(&lock);
    counted++;
    pthread_mutex_unlock(&lock);
    own++;
  }
  return (void *)own;
}

static void threads(long times) {
  pthread_t thread[4];
  for (int n = 0; n < 4; n++) CLAIM(pthread_create(&thread[n], NULL, count, (void *)times) == 0, "thread %d", n);
  for (int n = 0; n < 4; n++) {
    void *result;
    pthread_join(thread[n], &result);
    CLAIM((long)result == times, "thread %d counted %ld", n, (long)result);
  }
  CLAIM(counted == 4 * times, "all counted %ld", counted);
}

int main(void) {
  setvbuf(stdout, NULL, _IONBF, 0);
  mappings(3000);
  rights(200);
  copies(40);
  signals(500);
  threads(20000);
  traps();
  printf("VERDICT: success: mappings, rights, copies, signals, threads, traps\n");
  return 0;
}
