/**
 * The pages of a kernel's image are its own: whoever writes to them (a store, an instruction that reads and writes, a string
 * instruction whose source is the same page, Xen on our behalf, Xen making a page table of one), the change is seen through
 * every mapping, and a domain that was loaded later from the same image finds them as they were in the file.
 */
#include "kit.h"

#define PAGES 7
#define MARK 0x5ea1000000000001ul

/** Initialised, so that the pages come from the file: the first word of each page is MARK, the others 0. */
#define PAGE_OF_IMAGE {MARK}
static volatile u64 data[PAGES][PAGE_SIZE / 8] PAGE_ALIGNED = {PAGE_OF_IMAGE, PAGE_OF_IMAGE, PAGE_OF_IMAGE,
                                                               PAGE_OF_IMAGE, PAGE_OF_IMAGE, PAGE_OF_IMAGE, PAGE_OF_IMAGE};

static int as_in_the_file(void) {
  for (u32 page = 0; page < PAGES; page++) {
    CLAIM(data[page][0] == MARK, "page %u begins with %lx", page, data[page][0]);
    for (u32 word = 1; word < PAGE_SIZE / 8; word++) CLAIM(data[page][word] == 0, "page %u, word %u", page, word);
  }
  return -1;
}

static int stores(void) {
  volatile u64 *alias = map_mfn(va_to_mfn((void *)data[0]), PTE_KERNEL_RO);
  CLAIM(alias && alias[0] == MARK, "no second mapping");
  data[0][1] = 11;
  CLAIM(data[0][0] == MARK && data[0][1] == 11 && alias[1] == 11, "a store: %lu, seen elsewhere %lu", data[0][1], alias[1]);

  __atomic_fetch_add(&data[1][0], 5, __ATOMIC_SEQ_CST);
  CLAIM(data[1][0] == MARK + 5, "a locked add: %lx", data[1][0]);

  u8 *bytes = (u8 *)data[2]; /* source and destination in one page, one byte apart: the first byte runs through the page */
  u8 *from = bytes, *to = bytes + 1;
  u64 count = PAGE_SIZE - 1;
  __asm__ volatile("rep movsb" : "+S"(from), "+D"(to), "+c"(count)::"memory");
  for (u32 at = 0; at < PAGE_SIZE; at++) CLAIM(bytes[at] == (u8)MARK, "rep movsb, byte %u: %x", at, bytes[at]);

  u64 *edge = (u64 *)((u8 *)data[4] - 4); /* a store across two pages of the image */
  *edge = 0x1122334455667788ul;
  CLAIM(*edge == 0x1122334455667788ul && data[3][0] == MARK, "a store across pages: %lx", *edge);
  return -1;
}

static int other_writers(void) {
  char *text = (char *)&data[5][8];
  CLAIM(xen_version(XENVER_extraversion, text) == 0 && text[0] == '.', "a hypercall's answer: %x", text[0]);
  CLAIM(data[5][0] == MARK, "the rest of the page: %lx", data[5][0]);

  struct mmu_update update = {(va_to_mfn((void *)data[6]) << PAGE_SHIFT) + 16, 66};
  CLAIM(xen_mmu_update(&update, 1, NULL, DOMID_SELF) == 0 && data[6][2] == 66, "mmu_update: %lu", data[6][2]);
  CLAIM(data[6][0] == MARK, "the rest of the page: %lx", data[6][0]);
  return -1;
}

int main(void) {
  if (as_in_the_file() >= 0 || stores() >= 0 || other_writers() >= 0) return 0;
  return success("the pages of the image are this domain's own");
}
