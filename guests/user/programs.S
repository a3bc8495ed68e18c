/**
 * The user programs: position-independent, one page each, run in ring 3 at 0x400000 with a stack and nothing else mapped.
 * System calls: rax = 0 exit(code in rdi), 1 write(text in rdi, length in rsi); by SYSCALL or by INT 0x80.
 */
#define EXIT  0
#define WRITE 1

.macro PROGRAM name
    .balign 16
    .globl program_\name
program_\name:
.endm
.macro END name
    .globl program_\name\()_end
program_\name\()_end:
.endm

    .section .rodata.programs, "a"

PROGRAM good
    movl $WRITE, %eax
    leaq 1f(%rip), %rdi
    movl $2f - 1f, %esi
    syscall
    movl $WRITE, %eax
    leaq 2f(%rip), %rdi
    movl $3f - 2f, %esi
    int $0x80
    movl $EXIT, %eax
    movl $7, %edi
    syscall
    ud2
1:  .ascii "  hello from ring 3 by SYSCALL\n"
2:  .ascii "  hello from ring 3 by INT 0x80\n"
3:
END good

PROGRAM hlt
    hlt
END hlt

PROGRAM cli
    cli
END cli

PROGRAM kernel_memory
    movq $0xffffffff80000000, %rax
    movq (%rax), %rbx
END kernel_memory

PROGRAM divide
    xorl %edx, %edx
    movl $1, %eax
    xorl %ecx, %ecx
    divl %ecx
END divide

PROGRAM loop
1:  jmp 1b
END loop

/* Passes a kernel pointer to write(): the kernel must refuse, not print its own memory. */
PROGRAM bad_pointer
    movl $WRITE, %eax
    movq $0xffffffff80000000, %rdi
    movl $64, %esi
    syscall
    movq %rax, %rdi
    movl $EXIT, %eax
    syscall
    ud2
END bad_pointer

/* Calls the hypervisor directly: from user mode this is a system call to our kernel, number 29 there. */
PROGRAM hypercall
    movl $29, %eax
    movl $2, %edi
    syscall
    movq %rax, %rdi
    movl $EXIT, %eax
    int $0x80
    ud2
END hypercall

    .section .note.GNU-stack, "", @progbits
