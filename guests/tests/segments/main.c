/**
 * 64-bit segments: FS and GS bases by set_segment_base and by emulated WRMSR, canonical addresses only. A guest's GDT
 * consists of frames that Xen has checked: all descriptors must be harmless, the frame may not be writable, and data
 * or code segments get DPL 3.
 */
#include "kit.h"

#define MSR_FS_BASE 0xc0000100
#define DATA_SEGMENT 0x00cff3000000ffffUL /* present, DPL 3, data, writable, flat */
#define CALL_GATE    0x0000ec0000000000UL
#define TSS          0x0000890000000067UL

static u64 word = 0x1234, other = 0x5678;
static u64 gdt[512] PAGE_ALIGNED;

static u64 read_fs(void) {
  u64 value;
  __asm__ volatile("movq %%fs:0, %0" : "=r"(value));
  return value;
}

static bool write_msr(u32 msr, u64 value) {
  return !PROBE("wrmsr", "c"(msr), "a"((u32)value), "d"((u32)(value >> 32)));
}

static int bases(void) {
  CLAIM(xen_set_segment_base(SEGBASE_FS, (u64)&word) == 0 && read_fs() == 0x1234, "FS base by hypercall");
  CLAIM(write_msr(MSR_FS_BASE, (u64)&other) && read_fs() == 0x5678, "FS base by WRMSR");
  CLAIM(xen_set_segment_base(SEGBASE_FS, 0x8000000000000000) == -EINVAL, "a non-canonical FS base");
  CLAIM(!write_msr(MSR_FS_BASE, 0x8000000000000000) && trap_seen.vector == VEC_GP, "a non-canonical FS base by WRMSR");
  CLAIM(read_fs() == 0x5678, "a refused base took effect");
  CLAIM(xen_set_segment_base(SEGBASE_GS_USER, 0x1000) == 0, "GS_USER");
  CLAIM(cpu_id() == 0, "GS_USER changed the kernel's GS");
  CLAIM(xen_set_segment_base(SEGBASE_GS_USER_SEL, 0) == 0, "GS_USER_SEL 0");
  CLAIM(xen_set_segment_base(99, 0) == -EINVAL, "segment base 99");
  return -1;
}

static s64 set_gdt(u64 mfn, u32 entries) { return HYPERCALL2(HC_set_gdt, &mfn, entries); }
static s64 update_descriptor(u64 *slot, u64 value) {
  return HYPERCALL2(HC_update_descriptor, va_to_mfn(slot) << PAGE_SHIFT | ((u64)slot & ~PAGE_MASK), value);
}

static int descriptors(void) {
  u64 mfn = va_to_mfn(gdt);
  CLAIM(set_gdt(mfn, 512) == -EINVAL, "a writable frame became a GDT");
  gdt[1] = TSS;
  CLAIM(set_readonly(gdt) == 0 && set_gdt(mfn, 512) == -EINVAL, "a GDT with a TSS was accepted");
  set_writable(gdt);
  gdt[1] = DATA_SEGMENT & ~(3UL << 45); /* DPL 0 */
  set_readonly(gdt);
  CLAIM(set_gdt(mfn, 512) == 0, "set_gdt");
  CLAIM(((gdt[1] >> 45) & 3) == 3, "the descriptor keeps DPL %lu", (gdt[1] >> 45) & 3);
  CLAIM(set_writable(gdt) == -EBUSY, "a live GDT became writable");
  CLAIM(!PROBE("movl %0, %%es", "r"(1 << 3 | 3)), "cannot load our own segment: vector %lu error %lx", trap_seen.vector,
        trap_seen.error);
  CLAIM(PROBE("movl %0, %%es", "r"(2 << 3 | 3)) && trap_seen.vector == VEC_GP && trap_seen.error == 2 << 3,
        "an empty descriptor: vector %lu error %lx", trap_seen.vector, trap_seen.error);
  CLAIM(update_descriptor(&gdt[2], DATA_SEGMENT) == 0, "update_descriptor");
  CLAIM(!PROBE("movl %0, %%es", "r"(2 << 3 | 3)), "cannot load the new segment");
  CLAIM(update_descriptor(&gdt[3], TSS) == -EINVAL, "a TSS by update_descriptor");
  __asm__ volatile("movl %0, %%es" ::"r"(0));
  CLAIM(set_gdt(mfn, 8000) == -EINVAL, "a GDT of 8000 entries");
  CLAIM(HYPERCALL2(HC_set_gdt, NULL, 0) == 0, "no GDT at all");
  return set_writable(gdt) == 0 ? -1 : failure("a GDT given up stays read-only");
}

int main(void) {
  if (bases() >= 0 || descriptors() >= 0) return 0;
  return success("bases, GDT frames, descriptors");
}
