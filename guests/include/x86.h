/** What the processor itself defines: page-table entries, flags, exception vectors, single instructions. */
#pragma once
#include "types.h"

#define PAGE_SHIFT 12
#define PAGE_SIZE  4096UL
#define PAGE_MASK  (~(PAGE_SIZE - 1))

/*
 * A virtual address, four levels of tables:
 *
 *   63       48 47      39 38      30 29      21 20      12 11        0
 *  | sign copy |  L4 slot |  L3 slot |  L2 slot |  L1 slot |  offset   |
 */
#define TABLE_ENTRIES          512
#define TABLE_SLOT(va, level)  (((u64)(va) >> (12 + 9 * ((level) - 1))) & 511)

/* Page-table entry: bits 51:12 hold a MACHINE frame number in a PV guest. */
#define PTE_PRESENT  (1UL << 0)
#define PTE_RW       (1UL << 1)
#define PTE_USER     (1UL << 2)
#define PTE_PWT      (1UL << 3)
#define PTE_PCD      (1UL << 4)
#define PTE_ACCESSED (1UL << 5)
#define PTE_DIRTY    (1UL << 6)
#define PTE_PSE      (1UL << 7)
#define PTE_GLOBAL   (1UL << 8)
#define PTE_NX       (1UL << 63)
#define PTE_FRAME    0x000ffffffffff000UL

#define PTE_KERNEL_RW (PTE_PRESENT | PTE_RW | PTE_ACCESSED | PTE_DIRTY)
#define PTE_KERNEL_RO (PTE_PRESENT | PTE_ACCESSED | PTE_DIRTY)
#define PTE_USER_RW   (PTE_KERNEL_RW | PTE_USER)
#define PTE_USER_RO   (PTE_KERNEL_RO | PTE_USER)
#define PTE_TABLE     (PTE_PRESENT | PTE_RW | PTE_USER | PTE_ACCESSED | PTE_DIRTY)

/* Page-fault error code. */
#define PF_PRESENT (1 << 0)
#define PF_WRITE   (1 << 1)
#define PF_USER    (1 << 2)
#define PF_RSVD    (1 << 3)
#define PF_FETCH   (1 << 4)

#define RFLAGS_CF   (1UL << 0)
#define RFLAGS_ONE  (1UL << 1)
#define RFLAGS_ZF   (1UL << 6)
#define RFLAGS_TF   (1UL << 8)
#define RFLAGS_IF   (1UL << 9)
#define RFLAGS_DF   (1UL << 10)
#define RFLAGS_IOPL (3UL << 12)
#define RFLAGS_AC   (1UL << 18)

/* Exception vectors. */
#define VEC_DE 0
#define VEC_DB 1
#define VEC_NMI 2
#define VEC_BP 3
#define VEC_OF 4
#define VEC_BR 5
#define VEC_UD 6
#define VEC_NM 7
#define VEC_DF 8
#define VEC_TS 10
#define VEC_NP 11
#define VEC_SS 12
#define VEC_GP 13
#define VEC_PF 14
#define VEC_MF 16
#define VEC_AC 17
#define VEC_MC 18
#define VEC_XM 19

static inline u64 rdtsc(void) {
  u32 lo, hi;
  __asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
  return (u64)hi << 32 | lo;
}

struct cpuid {
  u32 eax, ebx, ecx, edx;
};

static inline struct cpuid cpuid(u32 leaf, u32 subleaf) {
  struct cpuid r;
  __asm__ volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx) : "a"(leaf), "c"(subleaf));
  return r;
}

/** CPUID behind Xen's forced-emulation prefix (ud2 + "xen"): always answered by Xen, never by hardware. */
static inline struct cpuid xen_cpuid(u32 leaf, u32 subleaf) {
  struct cpuid r;
  __asm__ volatile(".byte 0x0f, 0x0b, 'x', 'e', 'n'; cpuid"
                   : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
                   : "a"(leaf), "c"(subleaf));
  return r;
}

static inline void cpu_relax(void) { __asm__ volatile("pause" ::: "memory"); }

static inline u8 xchg8(volatile u8 *p, u8 v) {
  __asm__ volatile("xchgb %0, %1" : "+q"(v), "+m"(*p)::"memory");
  return v;
}
static inline u64 xchg64(volatile u64 *p, u64 v) {
  __asm__ volatile("xchgq %0, %1" : "+r"(v), "+m"(*p)::"memory");
  return v;
}
static inline void atomic_set_bit(u64 bit, volatile void *base) {
  __asm__ volatile("lock btsq %1, %0" : "+m"(*(volatile u64 *)base) : "r"(bit) : "memory", "cc");
}
static inline void atomic_clear_bit(u64 bit, volatile void *base) {
  __asm__ volatile("lock btrq %1, %0" : "+m"(*(volatile u64 *)base) : "r"(bit) : "memory", "cc");
}
static inline bool test_bit(u64 bit, const volatile void *base) {
  return (((const volatile u64 *)base)[bit / 64] >> (bit % 64)) & 1;
}
static inline u64 lowest_bit(u64 word) { return (u64)__builtin_ctzl(word); }
