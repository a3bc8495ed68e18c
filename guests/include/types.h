/** Fixed-width integer names and the few macros every file uses. */
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long u64;
typedef signed char s8;
typedef signed short s16;
typedef signed int s32;
typedef signed long s64;
typedef __SIZE_TYPE__ size_t;
typedef _Bool bool;

#define true 1
#define false 0
#define NULL ((void *)0)

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define PACKED        __attribute__((packed))
#define PAGE_ALIGNED  __attribute__((aligned(4096)))
#define NORETURN      __attribute__((noreturn))
#define UNUSED        __attribute__((unused))

/** Keeps the compiler from moving memory accesses over this point. */
#define barrier() __asm__ volatile("" ::: "memory")
/** Reads a location that somebody else (Xen, a peer) may change at any time. */
#define READ_ONCE(x)     (*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile __typeof__(x) *)&(x) = (v))
