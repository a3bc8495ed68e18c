/** Facts of xen/include/public/elfnote.h: what a kernel image says about itself. */

/** Types of the ELF notes whose name is "Xen": of a kernel, then of a core. */
// biome-ignore format: one row per note
export const XEN_ELFNOTE = {
  INFO:               0,  // legacy note: free text
  ENTRY:              1,  // virtual address of the entry point
  HYPERCALL_PAGE:     2,  // virtual address of the page that Xen fills with stubs
  VIRT_BASE:          3,  // virtual address of pseudo-physical address 0 in the image's mapping
  PADDR_OFFSET:       4,  // what the image's p_paddr are relative to
  XEN_VERSION:        5,  // "xen-3.0"
  GUEST_OS:           6,  // "linux", "GRUB", ...
  GUEST_VERSION:      7,
  LOADER:             8,  // "generic"
  PAE_MODE:           9,  // "yes", 32-bit guests
  FEATURES:           10, // names separated by "|", "!" in front of a required one
  BSD_SYMTAB:         11, // "yes": load the symbol table behind the image
  HV_START_LOW:       12, // lowest address Xen may use
  L1_MFN_VALID:       13, // pairs mask, value: how the guest marks a valid entry
  SUSPEND_CANCEL:     14, // 1: the guest copes with a cancelled suspend
  INIT_P2M:           15, // virtual address at which it wants its P2M list
  MOD_START_PFN:      16, // 1: the guest takes an unmapped ramdisk, by PFN
  SUPPORTED_FEATURES: 17, // the feature bits the kernel knows
  PHYS32_ENTRY:       18, // PVH entry point
  DUMPCORE_NONE:           0x200_0000, // says that it is a core
  DUMPCORE_HEADER:         0x200_0001, // magic, vCPUs, pages, page size: u64 each
  DUMPCORE_XEN_VERSION:    0x200_0002, // what xen_version answers
  DUMPCORE_FORMAT_VERSION: 0x200_0003, // u64: major << 32 | minor
} as const;
