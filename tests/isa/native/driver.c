/* Runs instruction cases on the real processor: cases from standard input, outcomes to standard output.
 *
 * Spec: the record formats are those of ../format.ts; numbers are little-endian, every record is a multiple of 8 bytes.
 *
 *   0x10000000  data, two pages read-write
 *   0x10002000  data, one page read-only; nothing is mapped below or above
 *   0x20000000  code, two pages, filled with INT3; nothing is mapped above
 *
 * A case ends at the first byte after its code (a jump back to us, no signal), at an INT3 that it jumped to, at
 * a fault, or with TF after one instruction. The handler takes the state from the signal frame.
 */
#define _GNU_SOURCE
#include <asm/prctl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define DATA 0x10000000ul
#define DATA_BYTES 0x3000ul
#define DATA_WRITABLE 0x2000ul
#define CODE 0x20000000ul
#define CODE_BYTES 0x2000ul
#define INT3 0xcc
#define STOPPED 0xff
#define TERMINATOR_BYTES 7

struct state {
  uint64_t gpr[16]; /* rax rcx rdx rbx rsp rbp rsi rdi r8..r15 */
  uint64_t rip, rflags;
  uint8_t fx[512];
} __attribute__((aligned(16)));

struct case_header { uint32_t code_bytes, patch_bytes; };
struct outcome { uint32_t vector, error; uint64_t cr2; };
struct run { uint32_t offset, bytes; };

struct state in __attribute__((used)), out __attribute__((used));
uint64_t host_rsp __attribute__((used)), entry __attribute__((used));
static struct outcome outcome;
static int arrived; /* with TF: at the first instruction of the case */
static uint8_t background[DATA_BYTES];
static uint8_t *const code = (uint8_t *)CODE;
static uint8_t *data; /* the pages at DATA once more, all writable */
static const uint32_t default_mxcsr __attribute__((used)) = 0x1f80;

void enter(void);
void leave(void);
void recover(void);

/* Absolute 32-bit addresses work: the driver is linked low (-no-pie). */
__asm__(
    ".globl enter, leave, recover\n"
    "enter:\n"
    "  push %rbx\n  push %rbp\n  push %r12\n  push %r13\n  push %r14\n  push %r15\n"
    "  mov %rsp, host_rsp\n"
    "  fxrstor64 in+144\n"
    "  pushq in+136\n  popfq\n"
    "  mov in+0, %rax\n  mov in+8, %rcx\n  mov in+16, %rdx\n  mov in+24, %rbx\n"
    "  mov in+40, %rbp\n  mov in+48, %rsi\n  mov in+56, %rdi\n"
    "  mov in+64, %r8\n  mov in+72, %r9\n  mov in+80, %r10\n  mov in+88, %r11\n"
    "  mov in+96, %r12\n  mov in+104, %r13\n  mov in+112, %r14\n  mov in+120, %r15\n"
    "  mov in+32, %rsp\n"
    "  jmp *entry\n"
    "leave:\n"
    "  mov %rax, out+0\n  mov %rcx, out+8\n  mov %rdx, out+16\n  mov %rbx, out+24\n"
    "  mov %rsp, out+32\n  mov %rbp, out+40\n  mov %rsi, out+48\n  mov %rdi, out+56\n"
    "  mov %r8, out+64\n  mov %r9, out+72\n  mov %r10, out+80\n  mov %r11, out+88\n"
    "  mov %r12, out+96\n  mov %r13, out+104\n  mov %r14, out+112\n  mov %r15, out+120\n"
    "  mov host_rsp, %rsp\n"
    "  pushfq\n  popq out+136\n"
    "  fxsave64 out+144\n"
    "recover:\n"
    "  cld\n  fninit\n  ldmxcsr default_mxcsr\n"
    "  pushq $0x202\n  popfq\n"
    "  pop %r15\n  pop %r14\n  pop %r13\n  pop %r12\n  pop %rbp\n  pop %rbx\n"
    "  ret\n");

static void on_signal(int number, siginfo_t *info, void *context) {
  static const int order[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                                REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
  greg_t *g = ((ucontext_t *)context)->uc_mcontext.gregs;
  (void)info;
  __asm__ volatile("pushfq; andl $~0x40000, (%%rsp); popfq" ::: "memory", "cc"); /* AC of the case is not ours */
  if (g[REG_TRAPNO] == 1 && number == SIGTRAP && !arrived) {
    arrived = (uint64_t)g[REG_RIP] == entry;
    return; /* to take the next step */
  }
  if (number == SIGALRM) {
    fprintf(stderr, "driver: a case does not end, rip %llx\n", (unsigned long long)g[REG_RIP]);
    _exit(3);
  }
  if (host_rsp == 0 || ((uint64_t)g[REG_RIP] >= 0x400000 && (uint64_t)g[REG_RIP] < DATA)) {
    fprintf(stderr, "driver: fault of the driver itself, vector %d, rip %llx, cr2 %llx, rsp %llx\n", (int)g[REG_TRAPNO], (long long)g[REG_RIP], (long long)g[REG_CR2], (long long)g[REG_RSP]);
    _exit(4);
  }
  for (int i = 0; i < 16; i++) out.gpr[i] = g[order[i]];
  out.rip = g[REG_RIP];
  out.rflags = g[REG_EFL];
  memcpy(out.fx, ((ucontext_t *)context)->uc_mcontext.fpregs, sizeof out.fx);
  outcome.vector = g[REG_TRAPNO];
  outcome.error = g[REG_ERR];
  outcome.cr2 = outcome.vector == 14 ? g[REG_CR2] : 0;
  g[REG_RSP] = host_rsp;
  g[REG_RIP] = (greg_t)recover;
  g[REG_EFL] = 0x202;
}

static void prepare(void) {
  static uint8_t alternate[1 << 16];
  stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate};
  struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_ONSTACK | SA_SIGINFO | SA_NODEFER};
  int signals[] = {SIGSEGV, SIGFPE, SIGILL, SIGBUS, SIGTRAP, SIGALRM};
  int fixed = MAP_SHARED | MAP_FIXED_NOREPLACE, both = PROT_READ | PROT_WRITE;
  int file = memfd_create("data", 0);
  void *at = (void *)DATA;
  if (ftruncate(file, DATA_BYTES) != 0 || mmap(at, DATA_BYTES, both, fixed, file, 0) != at ||
      mmap(code, CODE_BYTES, both | PROT_EXEC, fixed | MAP_ANONYMOUS, -1, 0) != code ||
      (data = mmap(0, DATA_BYTES, both, MAP_SHARED, file, 0)) == MAP_FAILED)
    perror("mmap"), exit(2);
  if (fread(background, 1, DATA_BYTES, stdin) != DATA_BYTES) exit(0);
  memcpy(data, background, DATA_BYTES);
  memset(code, INT3, CODE_BYTES);
  for (size_t page = 0; page < DATA_BYTES; page += 4096) *(volatile uint8_t *)(DATA + page); /* present */
  mprotect((uint8_t *)DATA + DATA_WRITABLE, DATA_BYTES - DATA_WRITABLE, PROT_READ);
  sigaltstack(&stack, 0);
  for (unsigned i = 0; i < sizeof signals / sizeof *signals; i++) sigaction(signals[i], &action, 0);
  syscall(SYS_arch_prctl, ARCH_SET_GS, DATA + 0x800);
}

static void write_terminator(uint64_t at) {
  static const uint8_t jump[3] = {0xff, 0x24, 0x25}; /* jmp *address; the pointer is aligned, whatever the case did to AC */
  static void (*const target)(void) = leave;
  uint32_t address = (uint32_t)(uintptr_t)&target;
  if (at + TERMINATOR_BYTES > CODE + CODE_BYTES) return;
  memcpy((void *)at, jump, sizeof jump);
  memcpy((void *)(at + sizeof jump), &address, sizeof address);
}

static void run_case(uint64_t code_bytes) {
  uint64_t end = in.rip + code_bytes;
  write_terminator(end);
  entry = in.rip;
  outcome = (struct outcome){.vector = STOPPED};
  out.rip = end;
  arrived = 0;
  enter();
  if (outcome.vector == 3) { /* an INT3 that the case jumped to: it stopped there */
    outcome = (struct outcome){.vector = STOPPED};
    out.rip--;
  }
  memset(code, INT3, CODE_BYTES);
}

static void write_padded(const void *bytes, size_t n) {
  static const uint8_t zero[8];
  fwrite(bytes, 1, n, stdout);
  fwrite(zero, 1, -n & 7, stdout);
}

/* Writes what differs from the background as runs of 8-byte words, ended by an empty run; restores the background. */
static void write_and_restore_data(void) {
  uint64_t *now = (uint64_t *)data, *was = (uint64_t *)background;
  uint64_t words = DATA_BYTES / 8;
  if (memcmp(now, was, DATA_BYTES) != 0)
    for (uint64_t i = 0; i < words; i++) {
      uint64_t from = i;
      while (i < words && now[i] != was[i]) i++;
      if (i == from) continue;
      struct run run = {from * 8, (i - from) * 8};
      fwrite(&run, 1, sizeof run, stdout);
      write_padded(now + from, run.bytes);
      memcpy(now + from, was + from, run.bytes);
    }
  struct run none = {0, 0};
  fwrite(&none, 1, sizeof none, stdout);
}

int main(void) {
  struct case_header header;
  static uint8_t buffer[1 << 16];
  prepare();
  while (fread(&header, 1, sizeof header, stdin) == sizeof header) {
    if (header.code_bytes > CODE_BYTES || header.patch_bytes > sizeof buffer) return 2;
    if (fread(&in, 1, sizeof in, stdin) != sizeof in) return 2;
    size_t padded = (header.code_bytes + 7) & ~7u;
    if (fread(buffer, 1, padded, stdin) != padded) return 2;
    size_t room = CODE + CODE_BYTES - in.rip; /* a case may run into the page that is not there */
    memcpy((void *)in.rip, buffer, header.code_bytes < room ? header.code_bytes : room);
    if (fread(buffer, 1, header.patch_bytes, stdin) != header.patch_bytes) return 2;
    for (uint32_t at = 0; at < header.patch_bytes;) {
      struct run *run = (struct run *)(buffer + at);
      memcpy(data + run->offset, run + 1, run->bytes);
      at += sizeof *run + ((run->bytes + 7) & ~7u);
    }
    alarm(2);
    run_case(header.code_bytes);
    fwrite(&outcome, 1, sizeof outcome, stdout);
    fwrite(&out, 1, sizeof out, stdout);
    write_and_restore_data();
  }
  return 0;
}
