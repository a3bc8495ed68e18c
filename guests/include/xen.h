/**
 * The Xen PV ABI, 64-bit x86: every number and layout a guest needs, written down afresh for this kit.
 * The authority is Xen's public headers (public/xen.h and its neighbours); the section names below are theirs.
 */
#pragma once

/* ---- hypercall numbers (public/xen.h) ------------------------------------------------------- */
#define HC_set_trap_table      0
#define HC_mmu_update          1
#define HC_set_gdt             2
#define HC_stack_switch        3
#define HC_set_callbacks       4
#define HC_fpu_taskswitch      5
#define HC_platform_op         7
#define HC_set_debugreg        8
#define HC_get_debugreg        9
#define HC_update_descriptor   10
#define HC_memory_op           12
#define HC_multicall           13
#define HC_update_va_mapping   14
#define HC_set_timer_op        15
#define HC_xen_version         17
#define HC_console_io          18
#define HC_grant_table_op      20
#define HC_vm_assist           21
#define HC_update_va_mapping_otherdomain 22
#define HC_iret                23
#define HC_vcpu_op             24
#define HC_set_segment_base    25
#define HC_mmuext_op           26
#define HC_sched_op            29
#define HC_callback_op         30
#define HC_event_channel_op    32
#define HC_physdev_op          33
#define HC_sysctl              35
#define HC_domctl              36

/* ---- errors (public/errno.h); hypercalls return them negated -------------------------------- */
#define EPERM   1
#define ENOENT  2
#define ESRCH   3
#define EIO     5
#define E2BIG   7
#define EAGAIN  11
#define ENOMEM  12
#define EACCES  13
#define EFAULT  14
#define EBUSY   16
#define EEXIST  17
#define ENODEV  19
#define EINVAL  22
#define ENOSPC  28
#define ENOSYS  38
#define ETIME   62
#define EOPNOTSUPP 95

/* ---- special domain ids --------------------------------------------------------------------- */
#define DOMID_SELF 0x7ff0
#define DOMID_IO   0x7ff1

/* ---- flat segments of Xen's part of every GDT (arch-x86/xen-x86_64.h) ------------------------ */
#define FLAT_CS64 0xe033
#define FLAT_CS32 0xe023
#define FLAT_SS   0xe02b

/* ---- address ranges ------------------------------------------------------------------------- */
#define XEN_VIRT_START 0xffff800000000000UL /* first byte a guest may not map */
#define XEN_VIRT_END   0xffff880000000000UL
#define XEN_M2P_START  0xffff800000000000UL /* u64 per machine frame, read-only for guests */

#ifndef __ASSEMBLER__
#include "types.h"

/* ---- start_info: what rsi points at on entry ------------------------------------------------- */
#define SIF_PRIVILEGED 1
#define SIF_INITDOMAIN 2

struct start_info {
  char magic[32];      /* "xen-3.0-x86_64" */
  u64 nr_pages;
  u64 shared_info;     /* machine address */
  u32 flags;           /* SIF_* */
  u64 store_mfn;
  u32 store_port;
  u64 console_mfn;     /* dom0 has other words here: see SIF_INITDOMAIN */
  u32 console_port;
  u64 pt_base;         /* virtual address of the L4 table */
  u64 nr_pt_frames;
  u64 mfn_list;        /* virtual address of the P2M: u64 mfn per pfn */
  u64 mod_start;
  u64 mod_len;
  char cmd_line[1024];
  u64 first_p2m_pfn;
  u64 nr_p2m_frames;
};

/* ---- shared_info ----------------------------------------------------------------------------- */
struct vcpu_time {
  u32 version;         /* odd while Xen is writing */
  u32 pad0;
  u64 tsc_timestamp;
  u64 system_time;     /* ns at tsc_timestamp */
  u32 tsc_to_system_mul;
  s8 tsc_shift;
  u8 flags;
  u8 pad1[2];
};

struct vcpu_info {
  u8 upcall_pending;
  u8 upcall_mask;
  u8 pad0[6];
  u64 pending_sel;     /* one bit per word of shared_info.evtchn_pending */
  u64 cr2;
  u64 pad1;
  struct vcpu_time time;
};

struct shared_info {
  struct vcpu_info vcpu[32];
  u64 evtchn_pending[64];
  u64 evtchn_mask[64];
  u32 wc_version, wc_sec, wc_nsec, wc_sec_hi;
  u64 max_pfn;
  u64 pfn_to_mfn_frame_list_list;
  u64 nmi_reason;
  u64 p2m_cr3, p2m_vaddr, p2m_generation;
};

/* ---- traps ----------------------------------------------------------------------------------- */
#define TI_MASK_EVENTS 4 /* set the upcall mask on entry */

struct trap_info {
  u8 vector;
  u8 flags;            /* bits 1:0 = DPL, bit 2 = TI_MASK_EVENTS */
  u16 cs;
  u64 address;         /* 0 ends the table */
};

#define CALLBACKOP_register   0
#define CALLBACKOP_unregister 1
#define CALLBACK_event    0
#define CALLBACK_failsafe 1
#define CALLBACK_syscall  2
#define CALLBACKF_mask_events 1

struct callback {
  u16 type;
  u16 flags;
  u64 address;
};

#define SEGBASE_FS          0
#define SEGBASE_GS_USER     1
#define SEGBASE_GS_KERNEL   2
#define SEGBASE_GS_USER_SEL 3

/* ---- memory: mmu_update, mmuext_op, update_va_mapping ---------------------------------------- */
#define MMU_NORMAL_PT_UPDATE      0
#define MMU_MACHPHYS_UPDATE       1
#define MMU_PT_UPDATE_PRESERVE_AD 2

struct mmu_update {
  u64 ptr;             /* machine address of the entry | MMU_* */
  u64 val;
};

#define MMUEXT_PIN_L1_TABLE     0
#define MMUEXT_PIN_L2_TABLE     1
#define MMUEXT_PIN_L3_TABLE     2
#define MMUEXT_PIN_L4_TABLE     3
#define MMUEXT_UNPIN_TABLE      4
#define MMUEXT_NEW_BASEPTR      5
#define MMUEXT_TLB_FLUSH_LOCAL  6
#define MMUEXT_INVLPG_LOCAL     7
#define MMUEXT_TLB_FLUSH_ALL    10
#define MMUEXT_SET_LDT          13
#define MMUEXT_NEW_USER_BASEPTR 15
#define MMUEXT_CLEAR_PAGE       16
#define MMUEXT_COPY_PAGE        17

struct mmuext_op {
  u32 cmd;
  u64 arg1;            /* mfn or linear address */
  u64 arg2;            /* nr_ents, vcpumask pointer or source mfn */
};

#define UVMF_NONE      0
#define UVMF_TLB_FLUSH 1
#define UVMF_INVLPG    2
#define UVMF_ALL       4

#define VMASST_enable                  0
#define VMASST_disable                 1
#define VMASST_writable_pagetables     2
#define VMASST_architectural_iopl      4
#define VMASST_runstate_update_flag    5

#define MEMOP_increase_reservation 0
#define MEMOP_decrease_reservation 1
#define MEMOP_maximum_ram_page     2
#define MEMOP_current_reservation  3
#define MEMOP_maximum_reservation  4
#define MEMOP_populate_physmap     6
#define MEMOP_machphys_mapping     12

struct memory_reservation {
  u64 *extents;
  u64 nr_extents;
  u32 order;
  u32 mem_flags;
  u16 domid;
};

struct machphys_mapping {
  u64 v_start, v_end, max_mfn;
};

/* ---- event channels (public/event_channel.h) ------------------------------------------------- */
#define EVTCHNOP_bind_interdomain 0
#define EVTCHNOP_bind_virq        1
#define EVTCHNOP_close            3
#define EVTCHNOP_send             4
#define EVTCHNOP_status           5
#define EVTCHNOP_alloc_unbound    6
#define EVTCHNOP_bind_ipi         7
#define EVTCHNOP_bind_vcpu        8
#define EVTCHNOP_unmask           9
#define EVTCHNOP_reset            10

#define VIRQ_TIMER   0
#define VIRQ_DEBUG   1
#define VIRQ_CONSOLE 2

#define EVTCHNSTAT_closed      0
#define EVTCHNSTAT_unbound     1
#define EVTCHNSTAT_interdomain 2
#define EVTCHNSTAT_pirq        3
#define EVTCHNSTAT_virq        4
#define EVTCHNSTAT_ipi         5

struct evtchn_bind_interdomain { u16 remote_dom; u32 remote_port; u32 local_port; };
struct evtchn_bind_virq        { u32 virq, vcpu, port; };
struct evtchn_alloc_unbound    { u16 dom, remote_dom; u32 port; };
struct evtchn_bind_ipi         { u32 vcpu, port; };
struct evtchn_bind_vcpu        { u32 port, vcpu; };
struct evtchn_port             { u32 port; };
struct evtchn_status {
  u16 dom;
  u32 port, status, vcpu;
  union {
    struct { u16 dom; } unbound;
    struct { u16 dom; u32 port; } interdomain;
    u32 virq;
  } u;
};

/* ---- grant tables (public/grant_table.h) ----------------------------------------------------- */
#define GNTTABOP_map_grant_ref   0
#define GNTTABOP_unmap_grant_ref 1
#define GNTTABOP_setup_table     2
#define GNTTABOP_copy            5
#define GNTTABOP_query_size      6
#define GNTTABOP_get_version     10

#define GTF_permit_access 1
#define GTF_readonly      (1 << 2)
#define GTF_reading       (1 << 3)
#define GTF_writing       (1 << 4)
#define GNTMAP_host_map   (1 << 1)
#define GNTMAP_readonly   (1 << 2)
#define GNTCOPY_source_gref (1 << 0)
#define GNTCOPY_dest_gref   (1 << 1)

#define GNTST_okay           0
#define GNTST_general_error  (-1)
#define GNTST_bad_domain     (-2)
#define GNTST_bad_gntref     (-3)
#define GNTST_bad_handle     (-4)
#define GNTST_bad_virt_addr  (-5)
#define GNTST_permission_denied (-8)

struct grant_entry { u16 flags, domid; u32 frame; };
struct gnttab_map {
  u64 host_addr;
  u32 flags, ref;
  u16 dom;
  s16 status;
  u32 handle;
  u64 dev_bus_addr;
};
struct gnttab_unmap { u64 host_addr, dev_bus_addr; u32 handle; s16 status; };
struct gnttab_setup { u16 dom; u32 nr_frames; s16 status; u64 *frames; };
struct gnttab_query { u16 dom; u32 nr_frames, max_nr_frames; s16 status; };
struct gnttab_copy_end {
  union { u32 ref; u64 gmfn; } u;
  u16 domid, offset;
};
struct gnttab_copy { struct gnttab_copy_end source, dest; u16 len, flags; s16 status; };

/* ---- scheduling, vCPUs, time ----------------------------------------------------------------- */
#define SCHEDOP_yield    0
#define SCHEDOP_block    1
#define SCHEDOP_shutdown 2
#define SCHEDOP_poll     3
#define SHUTDOWN_poweroff 0
#define SHUTDOWN_reboot   1
#define SHUTDOWN_suspend  2
#define SHUTDOWN_crash    3

struct sched_shutdown { u32 reason; };
struct sched_poll { u32 *ports; u32 nr_ports; u64 timeout; /* absolute ns, 0 = none */ };

#define VCPUOP_initialise                    0
#define VCPUOP_up                            1
#define VCPUOP_down                          2
#define VCPUOP_is_up                         3
#define VCPUOP_get_runstate_info             4
#define VCPUOP_register_runstate_memory_area 5
#define VCPUOP_set_periodic_timer            6
#define VCPUOP_stop_periodic_timer           7
#define VCPUOP_set_singleshot_timer          8
#define VCPUOP_stop_singleshot_timer         9
#define VCPUOP_register_vcpu_info            10
#define VCPU_SSHOTTMR_future                 1

#define RUNSTATE_running  0
#define RUNSTATE_runnable 1
#define RUNSTATE_blocked  2
#define RUNSTATE_offline  3

struct runstate_info { s32 state; u64 state_entry_time; u64 time[4]; };
struct singleshot_timer { u64 timeout_abs_ns; u32 flags; };
struct periodic_timer { u64 period_ns; };
struct register_vcpu_info { u64 mfn; u32 offset; u32 pad; };

#define VGCF_i387_valid (1 << 0)
#define VGCF_in_kernel  (1 << 2)
#define VGCF_in_syscall (1 << 8)

struct cpu_user_regs {
  u64 r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
  u32 error_code, entry_vector;
  u64 rip;
  u16 cs, pad0;
  u8 saved_upcall_mask, pad1[3];
  u64 rflags, rsp;
  u16 ss, pad2[3], es, pad3[3], ds, pad4[3], fs, pad5[3], gs, pad6[3];
};

struct vcpu_guest_context {
  u8 fpu[512];
  u64 flags;
  struct cpu_user_regs regs;
  struct { u8 vector, flags; u16 cs; u64 address; } traps[256];
  u64 ldt_base, ldt_ents;
  u64 gdt_frames[16], gdt_ents;
  u64 kernel_ss, kernel_sp;
  u64 ctrlreg[8];
  u64 debugreg[8];
  u64 event_callback, failsafe_callback, syscall_callback;
  u64 vm_assist;
  u64 fs_base, gs_base_kernel, gs_base_user;
};

/* ---- xen_version, console_io ----------------------------------------------------------------- */
#define XENVER_version             0
#define XENVER_extraversion        1
#define XENVER_compile_info        2
#define XENVER_capabilities        3
#define XENVER_changeset           4
#define XENVER_platform_parameters 5
#define XENVER_get_features        6
#define XENVER_pagesize            7
#define XENVER_guest_handle        8
#define XENVER_commandline         9

struct xen_feature_info { u32 submap_idx, submap; };

#define CONSOLEIO_write 0
#define CONSOLEIO_read  1

struct multicall_entry { u64 op; s64 result; u64 args[6]; };

/* ---- console and xenstore rings (public/io/console.h, public/io/xs_wire.h) ------------------- */
struct console_ring {
  char in[1024];
  char out[2048];
  u32 in_cons, in_prod, out_cons, out_prod;
};

struct xenstore_ring {
  char req[1024];
  char rsp[1024];
  u32 req_cons, req_prod, rsp_cons, rsp_prod;
  u32 server_features, connection, error;
};

#define XS_DIRECTORY         1
#define XS_READ              2
#define XS_WATCH             4
#define XS_UNWATCH           5
#define XS_TRANSACTION_START 6
#define XS_TRANSACTION_END   7
#define XS_WRITE             11
#define XS_MKDIR             12
#define XS_RM                13
#define XS_SET_PERMS         14
#define XS_WATCH_EVENT       15
#define XS_ERROR             16
#define XS_PAYLOAD_MAX       4096

struct xs_header { u32 type, req_id, tx_id, len; };

#endif
