/** Which vCPU is this, and how to start another one. The GS base of the kernel points at each vCPU's record. */
#include "kit.h"

#define STACK_SIZE 16384

static struct cpu {
  u32 id;
} cpus[32];

static u8 stacks[4][STACK_SIZE] PAGE_ALIGNED;

void cpu_init(u32 id) {
  cpus[id].id = id;
  xen_set_segment_base(SEGBASE_GS_KERNEL, (u64)&cpus[id]);
}

u32 cpu_id(void) {
  u32 id;
  __asm__ volatile("movl %%gs:0, %0" : "=r"(id));
  return id;
}

/* A new vCPU starts with no callbacks and no traps: it gets ours through the context. */
extern char event_entry[], failsafe_entry[], syscall_entry[];
void traps_init(void);

static void (*entries[4])(void);

static void secondary_start(u64 id) {
  traps_init(); /* per vCPU */
  entries[id]();
  xen_vcpu_op(VCPUOP_down, (u32)id, NULL);
}

static void fill_context(struct vcpu_guest_context *context, u32 id) {
  u64 top = (u64)stacks[id] + STACK_SIZE;
  context->flags = VGCF_in_kernel;
  context->regs.rip = (u64)secondary_start;
  context->regs.rdi = id;
  context->regs.rsp = top - 8; /* as after a call */
  context->regs.rflags = 0;    /* events masked until the entry function opens them */
  context->regs.cs = FLAT_CS64;
  context->regs.ss = FLAT_SS;
  context->kernel_ss = FLAT_SS;
  context->kernel_sp = top;
  context->ctrlreg[3] = va_to_mfn(kernel_l4()) << PAGE_SHIFT;
  context->event_callback = (u64)event_entry;
  context->failsafe_callback = (u64)failsafe_entry;
  context->syscall_callback = (u64)syscall_entry;
  context->gs_base_kernel = (u64)&cpus[id];
}

s64 smp_start(u32 id, void (*entry)(void)) {
  static struct vcpu_guest_context context; /* 5 KiB: too big for a stack */
  if (id == 0 || id >= ARRAY_SIZE(stacks)) return -EINVAL;
  cpus[id].id = id;
  entries[id] = entry;
  memset(&context, 0, sizeof(context));
  fill_context(&context, id);
  s64 result = xen_vcpu_op(VCPUOP_initialise, id, &context);
  return result ? result : xen_vcpu_op(VCPUOP_up, id, NULL);
}
