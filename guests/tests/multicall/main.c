/**
 * A multicall runs its entries in order and stores each result in its entry; an entry that fails does not stop the
 * rest and does not change the result of the whole, which is 0. A multicall inside a multicall is refused. A bad array
 * is -EFAULT.
 */
#include "kit.h"

int main(void) {
  struct multicall_entry inner = {.op = HC_xen_version};
  u8 *page = page_alloc();
  struct multicall_entry calls[] = {
      {.op = HC_xen_version, .args = {XENVER_version}},
      {.op = 4711},
      {.op = HC_update_va_mapping, .args = {(u64)page, make_pte(va_to_mfn(page), PTE_KERNEL_RO), UVMF_INVLPG}},
      {.op = HC_update_va_mapping, .args = {(u64)page, make_pte(va_to_mfn(kernel_l4()), PTE_KERNEL_RW), UVMF_INVLPG}},
      {.op = HC_multicall, .args = {(u64)&inner, 1}},
      {.op = HC_xen_version, .args = {XENVER_pagesize}},
  };
  CLAIM(xen_multicall(calls, ARRAY_SIZE(calls)) == 0, "multicall fails");
  CLAIM(calls[0].result == xen_version(XENVER_version, NULL), "result 0 is %ld", calls[0].result);
  CLAIM(calls[1].result == -ENOSYS, "an unknown entry gives %ld", calls[1].result);
  CLAIM(calls[2].result == 0, "update_va_mapping gives %ld", calls[2].result);
  CLAIM(!probe_write(page, 1), "its mapping is still writable");
  CLAIM(calls[3].result < 0, "a live page table became writable: %ld", calls[3].result);
  CLAIM(calls[4].result == -EINVAL, "a nested multicall gives %ld", calls[4].result);
  CLAIM(calls[5].result == 4096, "an entry after failures gives %ld", calls[5].result);
  CLAIM(xen_multicall((void *)XEN_VIRT_START, 1) == -EFAULT, "an array in Xen's range");
  CLAIM(xen_multicall(NULL, 1) == -EFAULT, "an array at NULL");
  CLAIM(xen_multicall(calls, 0) == 0, "an empty multicall");
  return success("%lu entries, order, results, errors", ARRAY_SIZE(calls));
}
