/**
 * Code is data: what was last written to a page is what runs there, whoever wrote it: a store at the same address, a
 * store through another mapping, Xen on our behalf (grant copy, a hypercall's answer), an instruction that changes the
 * one behind it, and a page whose frame is exchanged under the code.
 */
#include "kit.h"

static u8 code[2 * PAGE_SIZE] PAGE_ALIGNED;

/** mov $value, %eax; ret */
static void put_function(u8 *at, u32 value) {
  at[0] = 0xb8;
  memcpy(at + 1, &value, 4);
  at[5] = 0xc3;
}

static u32 call(const u8 *at) {
  u32 result;
  __asm__ volatile("call *%1" : "=a"(result) : "r"(at) : "memory");
  return result;
}

static int stores(void) {
  for (u32 i = 1; i <= 300; i++) {
    put_function(code, i);
    CLAIM(call(code) == i, "version %u returns %u", i, call(code));
  }
  u8 *edge = code + PAGE_SIZE - 3; /* an instruction that lies in two pages */
  put_function(edge, 0x11111111);
  CLAIM(call(edge) == 0x11111111, "across a page border: %x", call(edge));
  code[PAGE_SIZE + 1] = 0x22;
  CLAIM(call(edge) == 0x22111111, "its second half changed: %x", call(edge));
  code[PAGE_SIZE - 2] = 0x33;
  CLAIM(call(edge) == 0x22111133, "its first half changed: %x", call(edge));
  return -1;
}

static int other_writers(void) {
  u8 *alias = map_mfn(va_to_mfn(code), PTE_KERNEL_RW);
  CLAIM(alias, "no second mapping");
  call(code);
  put_function(alias, 77);
  CLAIM(call(code) == 77, "a store through an alias: %u", call(code));
  CLAIM(call(alias) == 77, "run through the alias: %u", call(alias));

  u8 *source = page_alloc();
  put_function(source, 88);
  struct gnttab_copy copy = {.source = {.u.ref = grant_access(own_domid(), va_to_mfn(source), true), .domid = DOMID_SELF},
                             .dest = {.u.gmfn = va_to_mfn(code), .domid = DOMID_SELF}, .len = 8, .flags = GNTCOPY_source_gref};
  CLAIM(xen_grant_table_op(GNTTABOP_copy, &copy, 1) == 0 && copy.status == 0, "grant copy: %d", copy.status);
  CLAIM(call(code) == 88, "a grant copy: %u", call(code));

  struct mmu_update update = {va_to_mfn(code) << PAGE_SHIFT, 0};
  put_function(source, 99);
  memcpy(&update.val, source, 8);
  CLAIM(xen_mmu_update(&update, 1, NULL, DOMID_SELF) == 0 && call(code) == 99, "mmu_update as a plain store: %u", call(code));

  put_function(source, 111);
  CLAIM(remap(code, make_pte(va_to_mfn(source), PTE_KERNEL_RW)) == 0 && call(code) == 111, "another frame: %u", call(code));
  CLAIM(set_writable(code) == 0 && call(code) == 99, "the old frame: %u", call(code));
  unmap_mfn(alias);
  return -1;
}

/** movl $5, 1f+1; 1: mov $4, %eax: the second must already be the new one. */
static u32 next_instruction(void) {
  static const u8 text[] = {0xc7, 0x05, 1, 0, 0, 0, 5, 0, 0, 0, 0xb8, 4, 0, 0, 0, 0xc3};
  memcpy(code, text, sizeof(text));
  return call(code);
}

/** A loop that counts its own immediate up: code and store in the same block. */
static u32 counting_loop(void) {
  /* 1: mov $0, %eax; incl 1b+1(%rip); cmp $200, %eax; jne 1b; ret */
  static const u8 text[] = {0xb8, 0, 0, 0, 0, 0xff, 0x05, 0xf6, 0xff, 0xff, 0xff, 0x3d, 200, 0, 0, 0, 0x75, 0xee, 0xc3};
  memcpy(code, text, sizeof(text));
  return call(code);
}

int main(void) {
  grants_init();
  if (stores() >= 0 || other_writers() >= 0) return 0;
  CLAIM(next_instruction() == 5, "an instruction that changes the next: %u", next_instruction());
  CLAIM(counting_loop() == 200, "a loop that changes itself: %u", counting_loop());
  return success("stores, aliases, Xen, frames, the next instruction");
}
