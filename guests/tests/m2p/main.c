/**
 * The machine-to-physical table lies at 0xffff800000000000, 8 bytes per frame, readable and never writable for a
 * guest; it inverts the P2M that the builder gave us, and MMU_MACHPHYS_UPDATE changes it for frames we own.
 */
#include "kit.h"

int main(void) {
  struct machphys_mapping mapping = {0};
  CLAIM(xen_memory_op(MEMOP_machphys_mapping, &mapping) == 0, "machphys_mapping");
  CLAIM(mapping.v_start == XEN_M2P_START && mapping.v_end > mapping.v_start && mapping.v_end <= XEN_VIRT_END, "M2P at %lx-%lx",
        mapping.v_start, mapping.v_end);
  for (u64 pfn = 0; pfn < first_unmapped_pfn(); pfn++)
    CLAIM(mfn_to_pfn(pfn_to_mfn(pfn)) == pfn, "pfn %lu is mfn %lu is pfn %lu", pfn, pfn_to_mfn(pfn), mfn_to_pfn(pfn_to_mfn(pfn)));

  u64 mfn = va_to_mfn(page_alloc()), pfn = mfn_to_pfn(mfn);
  CLAIM(!probe_write((u64 *)XEN_M2P_START + mfn, 0), "the M2P is writable");
  CLAIM(trap_seen.vector == VEC_PF && (trap_seen.error & PF_WRITE), "vector %lu error %lx", trap_seen.vector, trap_seen.error);
  struct mmu_update update = {mfn << PAGE_SHIFT | MMU_MACHPHYS_UPDATE, 0x4711};
  CLAIM(xen_mmu_update(&update, 1, NULL, DOMID_SELF) == 0 && mfn_to_pfn(mfn) == 0x4711, "MACHPHYS_UPDATE: %lx", mfn_to_pfn(mfn));
  update.val = pfn;
  CLAIM(xen_mmu_update(&update, 1, NULL, DOMID_SELF) == 0 && mfn_to_pfn(mfn) == pfn, "cannot restore it");
  update.ptr = 0xffffffffffUL << PAGE_SHIFT | MMU_MACHPHYS_UPDATE;
  CLAIM(xen_mmu_update(&update, 1, NULL, DOMID_SELF) < 0, "MACHPHYS_UPDATE of a frame that is nowhere");
  u64 value;
  CLAIM(!probe_read((void *)(XEN_VIRT_END - 4096), &value), "the end of Xen's range is readable");
  return success("%lu frames there and back", first_unmapped_pfn());
}
