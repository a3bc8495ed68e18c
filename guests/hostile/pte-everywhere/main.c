/**
 * Hostile: writes page-table entries that point everywhere, with random flags, by every road, and uses what it gets.
 * Expected: survives; whatever it can map is its own memory.
 * Command line: count=N (default 200000), seed=N.
 */
#include "kit.h"
#include "random.h"

#define WINDOWS 64
#define MAGIC   0x6d696e6521UL

static u8 windows[WINDOWS][PAGE_SIZE] PAGE_ALIGNED;
static u64 accepted, refused, used;

static u64 random_mfn(void) {
  switch (random_below(6)) {
    case 0:  return random_below(start_info->nr_pages * 2);
    case 1:  return va_to_mfn(kernel_l4()) + random_below(16) - 8;
    case 2:  return pfn_to_mfn(random_below(start_info->nr_pages));
    case 3:  return random_next() & 0xffffffffff;
    case 4:  return start_info->shared_info >> PAGE_SHIFT;
    default: return va_to_mfn(windows[random_below(WINDOWS)]);
  }
}

static u64 random_entry(void) {
  u64 flags = random_below(4) ? PTE_KERNEL_RW | (random_next() & 0xfff) : random_next() & (PTE_NX | 0xfff);
  return random_mfn() << PAGE_SHIFT | flags;
}

static bool write_entry(void *window, u64 entry) {
  switch (random_below(3)) {
    case 0:  return remap(window, entry) == 0;
    case 1:  return set_entry(pte_lookup(window), entry) == 0;
    default: return probe_write(pte_lookup(window), entry);
  }
}

/** What a window shows must be a frame of ours, or one that Xen shares with us. */
static bool ours(u64 entry) {
  u64 mfn = (entry & PTE_FRAME) >> PAGE_SHIFT, pfn;
  if (mfn == start_info->shared_info >> PAGE_SHIFT) return true;
  if (!probe_read((u64 *)XEN_M2P_START + mfn, &pfn)) return false;
  if (pfn == ~0UL) return true; /* a page of Xen's that it shares with us, as the grant table: it has no PFN */
  return pfn < start_info->nr_pages && pfn_to_mfn(pfn) == mfn;
}

static int one(void) {
  u64 value, *window = (u64 *)windows[random_below(WINDOWS)], entry = random_entry();
  if (!write_entry(window, entry)) {
    refused++;
    return -1;
  }
  accepted++;
  mmuext(MMUEXT_INVLPG_LOCAL, (u64)window, 0);
  u64 now_there = *pte_lookup(window);
  if (now_there & PTE_PRESENT) CLAIM(is_dom0() || ours(now_there), "entry %lx shows a frame that is not ours (M2P %lx)", now_there,
                                    mfn_to_pfn((now_there & PTE_FRAME) >> PAGE_SHIFT));
  used += probe_read(window, &value);
  return -1;
}

static void high_levels(void) {
  for (int i = 0; i < 2000; i++) {
    u64 *entry = table_entry(kernel_l4(), (void *)(100UL << 39), 4) + random_below(8);
    if (set_entry(entry, random_entry()) == 0) set_entry(entry, 0);
    u64 *l2 = table_entry(kernel_l4(), windows, 2) + 200 + random_below(8);
    if (set_entry(l2, random_entry()) == 0) set_entry(l2, 0);
  }
}

int main(void) {
  u64 count = cmdline_number("count", 200000);
  random_seed(cmdline_number("seed", 1));
  printk("HOSTILE pte-everywhere: expected: survives\n");
  for (u64 i = 0; i < count; i++)
    if (one() >= 0) return 0;
  high_levels();
  for (u64 i = 0; i < WINDOWS; i++) set_writable(windows[i]);
  return success("%lu entries accepted, %lu refused, %lu readable", accepted, refused, used);
}
