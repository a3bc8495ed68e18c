/**
 * Where Xen enters the kernel: exceptions, events, system calls. One frame layout (struct regs) for all of them.
 *
 * Xen pushes, lowest address first:          we turn it into:
 *
 *     rcx                                        r15 … rdi        pushed here
 *     r11                                        vector           pushed here
 *     [error code]                               rax, r11, rcx    \
 *     rip                                        error (or 0)      |  exactly the frame that
 *     cs | saved upcall mask << 32               rip, cs           |  the iret hypercall takes
 *     rflags                                     rflags            |
 *     rsp, ss                                    rsp, ss          /
 *
 * We always return by the iret hypercall: it restores the upcall mask from the saved IF in the same step, to kernel or user.
 */
#include "xen.h"

/* Entered with Xen's frame; `error` says whether Xen pushed an error code. */
.macro ENTRY_POINT name, vector, error
    .globl \name
\name:
    popq %rcx
    popq %r11
  .if !\error
    pushq $0
  .endif
    pushq %rcx
    pushq %r11
    pushq %rax
    pushq $\vector
    jmp save_registers
    .balign 16
.endm

    .text
save_registers:
    pushq %rdi
    pushq %rsi
    pushq %rdx
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    cld
    movq %rsp, %rdi
    call trap_dispatch
    movq %rsp, %rdi

/* void enter_context(struct regs *regs): rdi = frame. */
    .globl enter_context
enter_context:
    movq %rdi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    popq %r10
    popq %r9
    popq %r8
    popq %rdx
    popq %rsi
    popq %rdi
    addq $8, %rsp               /* vector */
    movq $0, 24(%rsp)           /* flags of the iret frame, where the error code was */
    movl $HC_iret, %eax
    syscall                     /* rax, r11, rcx come from the frame */
    ud2

/* The failsafe frame has ds, es, fs, gs between r11 and rip. */
    .globl failsafe_entry
failsafe_entry:
    popq %rcx
    popq %r11
    addq $32, %rsp
    pushq $0
    pushq %rcx
    pushq %r11
    pushq %rax
    pushq $258
    jmp save_registers

    .balign 16
    ENTRY_POINT event_entry,   256, 0
    ENTRY_POINT syscall_entry, 257, 0

/* One entry point per vector, 0-19 with their error codes as the processor defines them; vector_entries[] finds them. */
.macro VECTOR number, error=0
    ENTRY_POINT vector_entry_\number, \number, \error
    .pushsection .rodata
    .quad vector_entry_\number
    .popsection
.endm

    .pushsection .rodata
    .balign 8
    .globl vector_entries
vector_entries:
    .popsection
    VECTOR 0
    VECTOR 1
    VECTOR 2
    VECTOR 3
    VECTOR 4
    VECTOR 5
    VECTOR 6
    VECTOR 7
    VECTOR 8, 1
    VECTOR 9
    VECTOR 10, 1
    VECTOR 11, 1
    VECTOR 12, 1
    VECTOR 13, 1
    VECTOR 14, 1
    VECTOR 15
    VECTOR 16
    VECTOR 17, 1
    VECTOR 18
    VECTOR 19
    VECTOR 32
    VECTOR 128

    .section .note.GNU-stack, "", @progbits
