/**
 * A hypercall is SYSCALL with the number in rax, or a call into the hypercall page. An unknown number is -ENOSYS and
 * changes nothing else; an unknown sub-operation is -ENOSYS too; a pointer that the guest itself could not use is
 * -EFAULT, never a crash; the registers that are not arguments survive, except rcx (= the return address) and r11 (=
 * rflags).
 */
#include "kit.h"

static const u32 unknown[] = {11, 43, 47, 56, 63, 64, 1000, 0x7fffffff, 0xffffffff};

static s64 by_hypercall_page(u64 number, u64 a, u64 b) {
  s64 result;
  __asm__ volatile("call *%3" : "=a"(result), "+D"(a), "+S"(b) : "r"(hypercall_page + number * 32)
                   : "rcx", "rdx", "r8", "r9", "r10", "r11", "memory");
  return result;
}

static bool registers_survive(void) {
  u64 rbx = 0x1111, r12 = 0x2222, rcx, here;
  __asm__ volatile(
      "mov $0x1111, %%ebx; mov $0x2222, %%r12d; xor %%edi, %%edi; xor %%esi, %%esi; mov %4, %%eax; syscall; 1:"
      "lea 1b(%%rip), %3; mov %%rbx, %0; mov %%r12, %1; mov %%rcx, %2"
      : "=r"(rbx), "=r"(r12), "=r"(rcx), "=&r"(here) : "i"(HC_xen_version)
      : "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "memory");
  return rbx == 0x1111 && r12 == 0x2222 && rcx == here;
}

int main(void) {
  u64 version = (u64)xen_version(XENVER_version, NULL);
  for (u32 i = 0; i < ARRAY_SIZE(unknown); i++) {
    s64 result = HYPERCALL1(unknown[i], 0);
    CLAIM(result == -ENOSYS, "hypercall %u gives %ld", unknown[i], result);
  }
  CLAIM(version >= 4 << 16, "version 0x%lx", version);
  CLAIM((u64)by_hypercall_page(HC_xen_version, XENVER_version, 0) == version, "the hypercall page disagrees");
  CLAIM(registers_survive(), "a hypercall changed registers");

  char text[1024];
  memset(text, 0, sizeof(text));
  CLAIM(xen_version(XENVER_extraversion, text) == 0 && strlen(text) < 16, "extraversion");
  CLAIM(xen_version(XENVER_capabilities, text) == 0 && !strncmp(text, "xen-3.0-x86_64", 14), "capabilities: %s", text);
  CLAIM(xen_version(XENVER_changeset, text) == 0, "changeset");
  CLAIM(xen_version(XENVER_pagesize, NULL) == 4096, "pagesize");
  u64 start = 0;
  CLAIM(xen_version(XENVER_platform_parameters, &start) == 0 && start == XEN_VIRT_START, "virt_start %lx", start);
  struct xen_feature_info features = {0};
  CLAIM(xen_version(XENVER_get_features, &features) == 0, "get_features");
  CLAIM(!(features.submap & 1), "writable_page_tables is offered to a PV guest");
  features.submap_idx = 1000;
  CLAIM(xen_version(XENVER_get_features, &features) == -EINVAL, "features submap 1000");
  CLAIM(xen_version(999, text) == -ENOSYS, "xen_version(999)");
  CLAIM(xen_version(XENVER_extraversion, NULL) == -EFAULT, "extraversion to NULL");
  CLAIM(xen_version(XENVER_extraversion, (void *)XEN_VIRT_START) == -EFAULT, "extraversion into the M2P");
  CLAIM(xen_version(XENVER_extraversion, (void *)(XEN_VIRT_END - 8)) == -EFAULT, "extraversion into Xen's range");
  CLAIM(xen_version(XENVER_extraversion, (void *)0x8000000000000000) == -EFAULT, "extraversion to a non-canonical address");
  CLAIM(xen_sched_op(99, NULL) == -ENOSYS, "sched_op(99)");
  CLAIM(xen_event_channel_op(99, text) == -ENOSYS, "event_channel_op(99)");
  CLAIM(xen_event_channel_op(EVTCHNOP_send, NULL) == -EFAULT, "send from NULL");
  CLAIM(xen_grant_table_op(99, text, 1) == -ENOSYS, "grant_table_op(99)");
  CLAIM(xen_vcpu_op(VCPUOP_is_up, 4000, NULL) == -ENOENT, "vcpu_op on vCPU 4000");
  CLAIM(xen_vm_assist(VMASST_enable, 63) == -EINVAL, "vm_assist type 63");
  return success("%lu unknown numbers, versions, bad pointers", ARRAY_SIZE(unknown));
}
