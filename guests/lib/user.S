/**
 * Into a user program and back. run_user() keeps the kernel's registers on its stack and leaves by the iret hypercall; a trap
 * handler ends the program by user_end(), which points its frame at user_ended: the iret that would return to the program
 * returns here.
 */
    .text
    .globl run_user
run_user:                       /* void run_user(const struct regs *program) */
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, kernel_rsp(%rip)
    leaq -176(%rsp), %rsp       /* the frame moves to our own stack: enter_context pops it from there */
    movq %rdi, %rsi
    movq %rsp, %rdi
    movl $22, %ecx
    rep movsq
    movq %rsp, %rdi
    jmp enter_context

    .globl user_ended
user_ended:                     /* rsp = kernel_rsp, set by the frame */
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    ret

    .bss
    .balign 8
    .globl kernel_rsp
kernel_rsp:
    .quad 0

    .section .note.GNU-stack, "", @progbits
