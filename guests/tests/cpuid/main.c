/**
 * CPUID behind the forced-emulation prefix (0f 0b 'x' 'e' 'n') is answered by Xen: leaves from 0x40000000 name it and
 * its version, and features that a PV kernel cannot have are hidden. The prefix before anything but CPUID is a plain
 * #UD.
 */
#include "kit.h"

#define LEAF_XEN 0x40000000

int main(void) {
  struct cpuid base = xen_cpuid(LEAF_XEN, 0);
  u32 name[4] = {base.ebx, base.ecx, base.edx, 0};
  CLAIM(!strcmp((char *)name, "XenVMMXenVMM"), "leaf 0x40000000 says %s", (char *)name);
  CLAIM(base.eax >= LEAF_XEN + 2, "highest Xen leaf 0x%x", base.eax);
  CLAIM(xen_cpuid(LEAF_XEN + 1, 0).eax == (u32)xen_version(XENVER_version, NULL), "leaf 1 names another version");
  struct cpuid pages = xen_cpuid(LEAF_XEN + 2, 0);
  CLAIM(pages.eax >= 1 && (pages.ebx & 0xf0000000) == 0x40000000, "hypercall pages %u, msr 0x%x", pages.eax, pages.ebx);

  struct cpuid features = xen_cpuid(1, 0);
  CLAIM(features.edx & (1 << 0), "no FPU");
  CLAIM(features.edx & (1 << 26), "no SSE2");
  CLAIM(is_dom0() || !(features.edx & (1 << 12)), "MTRRs are offered to a PV guest");
  CLAIM(xen_cpuid(0x80000001, 0).edx & (1 << 29), "no long mode");
  CLAIM(xen_cpuid(0x80000001, 0).edx & (1 << 11), "no SYSCALL");

  trap_seen.hit = false;
  __asm__ volatile("1: .byte 0x0f, 0x0b, 'x', 'e', 'n'; nop; 2:" FIXUP("1b", "2b")::: "memory");
  CLAIM(trap_seen.hit && trap_seen.vector == VEC_UD, "the prefix before NOP: vector %lu", trap_seen.vector);
  return success("Xen leaves, features, prefix");
}
