/** Everything the kit offers, grouped by the file of guests/lib that holds it. */
#pragma once
#include "hypercall.h"
#include "types.h"
#include "x86.h"
#include "xen.h"

/** Registers of an interrupted context, as lib/entry.S lays them on the stack (lowest address first). */
struct regs {
  u64 r15, r14, r13, r12, rbp, rbx, r10, r9, r8, rdx, rsi, rdi;
  u64 vector;        /* 0-255 exception or INT n, or VECTOR_* below */
  u64 rax, r11, rcx; /* from here on: the frame of the iret hypercall */
  u64 error;         /* error code; the iret frame keeps its flags here */
  u64 rip;
  u16 cs, pad0;
  u8 saved_upcall_mask, pad1[3];
  u64 rflags, rsp, ss;
};
#define VECTOR_EVENT    256
#define VECTOR_SYSCALL  257
#define VECTOR_FAILSAFE 258

/* main.c of each guest */
int main(void); /* 0: the domain powers off; anything else: it shuts down as crashed */

/* start.c */
extern const struct start_info *start_info;
extern struct shared_info *shared_info;
bool is_dom0(void);
bool cmdline_get(const char *key, char *value, size_t size); /* value of key=value on the command line */
u64 cmdline_number(const char *key, u64 fallback);

/* entry.S */
extern char hypercall_page[4096];
void enter_context(struct regs *regs) NORETURN; /* loads all registers by the iret hypercall */

/* user.S */
void run_user(const struct regs *program);  /* comes back when a trap handler points its frame at user_ended */
void user_end(struct regs *regs);           /* does that */
extern char user_ended[];
extern u64 kernel_rsp;

/* string.c */
void *memset(void *to, int byte, size_t n);
void *memcpy(void *to, const void *from, size_t n);
void *memmove(void *to, const void *from, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
char *strchr(const char *s, int c);
void strlcpy(char *to, const char *from, size_t size);
bool parse_number(const char *text, u64 *value); /* decimal or 0x…; false: not a number */

/* printk.c */
void printk(const char *format, ...) __attribute__((format(printf, 1, 2)));
int snprintk(char *to, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));
int vsnprintk(char *to, size_t size, const char *format, __builtin_va_list args);
void panic(const char *format, ...) NORETURN __attribute__((format(printf, 1, 2)));

/* console.c */
void console_init(void);
void console_write(const char *text, size_t n);
void console_flush(void);              /* waits until the backend took everything */
int console_getc(void);                /* -1: nothing typed */
void console_read_line(char *line, size_t size); /* echoes; blocks */
u32 console_port(void);                /* 0: none */
void emergency_print(const char *text); /* straight to Xen's own log */

/* events.c */
typedef void (*event_handler)(u32 port, struct regs *regs);
void events_init(void);
void event_dispatch(struct regs *regs);
void event_bind(u32 port, event_handler handler); /* sets the handler and unmasks */
void event_mask(u32 port);
void event_unmask(u32 port);
void event_clear(u32 port);
bool event_pending(u32 port);
s64 event_send(u32 port);
s64 event_close(u32 port);
s64 event_alloc_unbound(u16 remote, u32 *port);
s64 event_bind_interdomain(u16 remote, u32 remote_port, u32 *port);
s64 event_bind_virq(u32 virq, u32 vcpu, u32 *port);
s64 event_bind_ipi(u32 vcpu, u32 *port);
void events_enable(void);  /* clears the upcall mask and takes what waited */
bool events_disable(void); /* sets the upcall mask; returns whether events were enabled */
void events_restore(bool enabled);
struct vcpu_info *vcpu_info(void); /* of the calling vCPU */

/** Sleeps until `condition` holds. What makes it true must come with an event. */
#define wait_until(condition)               \
  do {                                      \
    bool enabled_ = events_disable();       \
    while (!(condition)) {                  \
      sched_block(); /* clears the mask */  \
      events_disable();                     \
    }                                       \
    events_restore(enabled_);               \
  } while (0)

/* traps.c */
typedef bool (*trap_handler)(struct regs *regs); /* true: dealt with, continue at regs->rip */
void traps_init(void);
void trap_dispatch(struct regs *regs);
void trap_set_handler(u32 vector, trap_handler handler);
void trap_set_gate(u32 vector, u8 flags);        /* DPL and TI_MASK_EVENTS; takes effect at once */
void trap_set_syscall(trap_handler handler);     /* SYSCALL from user mode */
void dump_regs(const struct regs *regs);
struct trap_seen {
  bool hit;
  u64 vector, error, rip, cr2;
  u16 cs;
  u8 saved_upcall_mask, mask_inside;
};
extern struct trap_seen trap_seen;               /* the last trap that a fixup caught */

/** In assembly: a trap whose saved rip is `from` continues at `to`. */
#define FIXUP(from, to) ".pushsection .fixups, \"a\"; .quad " from ", " to "; .popsection;"
/** Runs one instruction that may trap (fault or trap style); true: it did, see trap_seen. */
#define PROBE(instruction, ...)                                                                   \
  ({                                                                                              \
    trap_seen.hit = false;                                                                        \
    __asm__ volatile("1: " instruction "; 2:" FIXUP("1b", "2b") FIXUP("2b", "2b")::__VA_ARGS__    \
                     : "memory", "cc");                                                           \
    trap_seen.hit;                                                                                \
  })

/* probe.c: memory accesses that may fault; the fault is in trap_seen */
bool probe_read(const void *va, u64 *value);
bool probe_write(void *va, u64 value);

/* pages.c */
void pages_init(void);
void *page_alloc(void);          /* one zeroed, writable page; panics when there is none */
void page_free(void *page);
u64 pages_free_count(void);
u64 first_unmapped_pfn(void);    /* RAM from here to nr_pages has no mapping yet */

/* paging.c */
u64 va_to_pfn(const void *va);   /* of the kernel's own image and pages */
void *pfn_to_va(u64 pfn);
u64 pfn_to_mfn(u64 pfn);
u64 mfn_to_pfn(u64 mfn);
u64 va_to_mfn(const void *va);   /* through the P2M, not through the tables */
u64 make_pte(u64 mfn, u64 flags);
u64 *pte_lookup(const void *va); /* the L1 entry that maps va (read-only memory), NULL: no L1 table there */
u64 *table_entry(u64 *l4, const void *va, int level); /* entry at `level`; NULL: a table above is missing */
u64 pte_machine_address(const u64 *pte);
s64 remap(const void *va, u64 pte);              /* update_va_mapping + INVLPG */
s64 set_readonly(const void *page);
s64 set_writable(const void *page);
s64 pin_table(const u64 *table, int level);
s64 unpin_table(const u64 *table);
s64 set_entry(u64 *entry, u64 value);            /* mmu_update of one entry */
s64 set_user_base(const u64 *l4);                /* NULL: none */
s64 mmuext(u32 cmd, u64 arg1, u64 arg2);
void *map_mfn(u64 mfn, u64 flags);               /* a frame of ours or a foreign one at a fresh address */
void unmap_mfn(void *va);
u64 *kernel_l4(void);
u64 *user_space_create(void);                    /* an empty, pinned L4 */
s64 user_space_map(u64 *l4, u64 va, void *page, u64 flags);
void user_space_destroy(u64 *l4);

/* grants.c */
void grants_init(void);
u32 grant_access(u16 domid, u64 mfn, bool readonly); /* returns the reference */
bool grant_end(u32 ref);                         /* false: the peer still has it mapped */
void *grant_map(u16 domid, u32 ref, u32 *handle, s64 *status); /* NULL: status says why */
s64 grant_unmap(void *va, u32 handle);

/* time.c */
u64 now(void);                                   /* ns of system time, by pvclock */
u64 wallclock_seconds(void);
void timer_init(void);
void timer_set(u64 deadline);                    /* one shot, absolute ns; 0 cancels */
u64 timer_count(void);                           /* VIRQ_TIMER events seen */
void timer_set_handler(event_handler handler);
void sleep_until(u64 deadline);
void sleep_ns(u64 ns);

/* sched.c */
void sched_block(void);
void sched_yield(void);
s64 sched_poll(u32 port, u64 timeout);           /* 0 timeout: none */
void shutdown(u32 reason) NORETURN;
u16 own_domid(void);

/* xenstore.c: results are lengths or -errno; strings come back NUL-terminated */
bool xs_init(void);                              /* false: this domain has no XenStore */
s64 xs_read(const char *path, char *value, size_t size);
s64 xs_write(const char *path, const char *value);
s64 xs_printf(const char *path, const char *format, ...) __attribute__((format(printf, 2, 3)));
s64 xs_remove(const char *path);
s64 xs_open_for_all(const char *path);           /* everybody may read a node of ours */
s64 xs_list(const char *path, char *names, size_t size); /* names follow each other, each with its NUL */
s64 xs_watch(const char *path, const char *token);
s64 xs_watch_later(const char *path, const char *token); /* does not wait for the answer */
s64 xs_unwatch(const char *path, const char *token);
bool xs_next_watch(char *path, size_t size, char *token, size_t token_size); /* false: none waits */
bool xs_watch_waits(void);
s64 xs_transaction_start(void);                  /* ≥ 1: used by all later calls until the end */
s64 xs_transaction_end(bool commit);             /* -EAGAIN: somebody else wrote; do it again */
u32 xs_port(void);

/* smp.c */
s64 smp_start(u32 vcpu, void (*entry)(void));
u32 cpu_id(void);
void cpu_init(u32 id);

/* verdict.c */
int success(const char *format, ...) __attribute__((format(printf, 1, 2)));
int failure(const char *format, ...) __attribute__((format(printf, 1, 2)));
/** In a test: the first claim that does not hold ends it. */
#define CLAIM(condition, ...)                   \
  do {                                          \
    if (!(condition)) return failure(__VA_ARGS__); \
  } while (0)
void bench(const char *name, u64 value, const char *unit);
