/** The first instructions, and the ELF notes that tell the domain builder what kind of kernel this is. */
#include "elfnote.h"

#define VIRT_BASE 0xffffffff80000000

.macro NOTE type, directive, value:vararg
    .pushsection .note.Xen, "a", @note
    .balign 4
    .long 4, 2f - 1f, \type
    .asciz "Xen"
1:  \directive \value
2:  .balign 4
    .popsection
.endm

    NOTE NOTE_GUEST_OS,       .asciz, "xenolith-kit"
    NOTE NOTE_GUEST_VERSION,  .asciz, "1"
    NOTE NOTE_LOADER,         .asciz, "generic"
    NOTE NOTE_XEN_VERSION,    .asciz, "xen-3.0"
    NOTE NOTE_VIRT_BASE,      .quad,  VIRT_BASE
    NOTE NOTE_PADDR_OFFSET,   .quad,  0
    NOTE NOTE_ENTRY,          .quad,  _start
    NOTE NOTE_HYPERCALL_PAGE, .quad,  hypercall_page
    NOTE NOTE_HV_START_LOW,   .quad,  0xffff800000000000
    NOTE NOTE_FEATURES,       .asciz, "!writable_page_tables|pae_pgdir_above_4gb"
    NOTE NOTE_PAE_MODE,       .asciz, "yes"
    NOTE NOTE_L1_MFN_VALID,   .quad,  1, 1
    NOTE NOTE_SUSPEND_CANCEL, .long,  1

/* Xen's builder enters here: rsi = start_info, events masked, a one-page stack that we leave at once. */
    .section .text.start, "ax", @progbits
    .globl _start
_start:
    cld
    leaq boot_stack_top(%rip), %rsp
    xorl %ebp, %ebp
    movq %rsi, %rdi
    call kit_start
1:  ud2
    jmp 1b

/* Xen fills this page with one 32-byte stub per hypercall number. */
    .section .hypercall, "ax", @progbits
    .globl hypercall_page
    .balign 4096
hypercall_page:
    .fill 4096, 1, 0xcc

    .section .bss
    .balign 4096
    .fill 16384, 1, 0
    .globl boot_stack_top
boot_stack_top:

    .section .note.GNU-stack, "", @progbits
