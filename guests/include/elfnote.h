/** Numbers of the ELF notes (owner name "Xen") that a loader of PV kernels reads (public/elfnote.h). */
#pragma once

#define NOTE_ENTRY           1
#define NOTE_HYPERCALL_PAGE  2
#define NOTE_VIRT_BASE       3
#define NOTE_PADDR_OFFSET    4
#define NOTE_XEN_VERSION     5
#define NOTE_GUEST_OS        6
#define NOTE_GUEST_VERSION   7
#define NOTE_LOADER          8
#define NOTE_PAE_MODE        9
#define NOTE_FEATURES        10
#define NOTE_HV_START_LOW    12
#define NOTE_L1_MFN_VALID    13
#define NOTE_SUSPEND_CANCEL  14
