/**
 * disk: writes patterns to a disk and reads them back: single requests, a ring full of them, indirect ones, a flush; then
 * closes the disk, connects again with persistent grants, finds the patterns and does it all once more.
 * Command line: device=51712. The disk's first 4 MiB are overwritten.
 */
#include "blkfront.h"

#define PAGES 64 /* of one indirect request */

static struct blk blk;
static u8 *pages[PAGES];
static u32 refs[PAGES];
static struct blk_segment *list;
static u32 list_ref;

static u64 word(u64 seed, u64 sector, u64 n) { return (seed << 48) ^ (sector << 16) ^ n * 0x9e3779b97f4a7c15UL; }

/** Sectors of 512 bytes, eight to a page, each telling its own number. */
static void fill(u64 seed, u64 sector, u32 count) {
  for (u32 p = 0; p < count; p++)
    for (u32 n = 0; n < PAGE_SIZE / 8; n++) ((u64 *)pages[p])[n] = word(seed, sector + p * 8 + n / 64, n % 64);
}

static bool verify(u64 seed, u64 sector, u32 count) {
  for (u32 p = 0; p < count; p++)
    for (u32 n = 0; n < PAGE_SIZE / 8; n++)
      if (((u64 *)pages[p])[n] != word(seed, sector + p * 8 + n / 64, n % 64)) return false;
  return true;
}

static void wipe(u32 count) {
  for (u32 p = 0; p < count; p++) memset(pages[p], 0xee, PAGE_SIZE);
}

/** Up to eleven pages from `sector` on, in one request. */
static void request(u8 operation, u64 id, u64 sector, u32 first, u32 count) {
  union blk_slot *slot = blk_next(&blk);
  slot->request.operation = operation;
  slot->request.segments = (u8)count;
  slot->request.id = id;
  slot->request.sector = sector;
  for (u32 i = 0; i < count; i++) slot->request.segment[i] = (struct blk_segment){refs[first + i], 0, 7, 0};
}

static s64 one(u8 operation, u64 sector, u32 count) {
  u64 id;
  request(operation, 1, sector, 0, count);
  blk_publish(&blk);
  return blk_answer(&blk, &id);
}

static s64 indirect(u8 operation, u64 sector) {
  u64 id;
  for (u32 i = 0; i < PAGES; i++) list[i] = (struct blk_segment){refs[i], 0, 7, 0};
  union blk_slot *slot = blk_next(&blk);
  slot->indirect.operation = BLK_INDIRECT;
  slot->indirect.indirect_operation = operation;
  slot->indirect.segments = PAGES;
  slot->indirect.id = 2;
  slot->indirect.sector = sector;
  slot->indirect.page[0] = list_ref;
  blk_publish(&blk);
  return blk_answer(&blk, &id);
}

/** A ring full of requests of two pages each, published at once; each must be answered once. */
static bool full_ring(u8 operation, u64 sector) {
  u64 seen = 0, id;
  for (u32 i = 0; i < BLK_SLOTS; i++) request(operation, i, sector + i * 16, i * 2, 2);
  blk_publish(&blk);
  for (u32 i = 0; i < BLK_SLOTS; i++) {
    if (blk_answer(&blk, &id) != 0 || id >= BLK_SLOTS || (seen >> id & 1)) return false;
    seen |= 1UL << id;
  }
  return true;
}

static int exercise(u64 seed) {
  fill(seed, 0, BLK_SEGMENTS);
  CLAIM(one(BLK_WRITE, 0, BLK_SEGMENTS) == 0, "a write failed");
  fill(seed, 1024, PAGES);
  CLAIM(full_ring(BLK_WRITE, 1024), "a ring full of writes failed");
  fill(seed, 4096, PAGES);
  CLAIM(indirect(BLK_WRITE, 4096) == 0, "an indirect write failed");
  CLAIM(one(BLK_FLUSH, 0, 0) == 0, "a flush failed");
  wipe(PAGES);
  CLAIM(one(BLK_READ, 0, BLK_SEGMENTS) == 0 && verify(seed, 0, BLK_SEGMENTS), "a read is wrong");
  wipe(PAGES);
  CLAIM(full_ring(BLK_READ, 1024) && verify(seed, 1024, PAGES), "a ring full of reads is wrong");
  wipe(PAGES);
  CLAIM(indirect(BLK_READ, 4096) == 0 && verify(seed, 4096, PAGES), "an indirect read is wrong");
  CLAIM(one(BLK_READ, 1UL << 40, 1) == -1, "a read beyond the end succeeded");
  CLAIM(one(77, 0, 1) == -2, "an operation that is none succeeded");
  return 1;
}

int main(void) {
  u64 device = cmdline_number("device", 51712);
  CLAIM(xs_init(), "no XenStore here");
  grants_init();
  timer_init();
  for (u32 i = 0; i < PAGES; i++) {
    pages[i] = page_alloc();
    refs[i] = grant_access(0, va_to_mfn(pages[i]), false);
  }
  list = page_alloc();
  list_ref = grant_access(0, va_to_mfn(list), true);
  CLAIM(blk_connect(&blk, device, false), "no backend for device %lu", device);
  u64 sectors = blk_number(blk.backend, "sectors", 0);
  CLAIM(sectors >= 8192, "a disk of %lu sectors", sectors);
  if (!exercise(1)) return 0;
  blk_close(&blk);
  CLAIM(grant_end(refs[0]), "a page is still in use after the disk was closed");
  refs[0] = grant_access(0, va_to_mfn(pages[0]), false);
  CLAIM(blk_connect(&blk, device, true), "the backend does not come back");
  wipe(PAGES);
  CLAIM(indirect(BLK_READ, 4096) == 0 && verify(1, 4096, PAGES), "what was written is gone");
  if (!exercise(2)) return 0;
  CLAIM(!grant_end(refs[0]), "a persistent grant is not mapped");
  blk_close(&blk);
  CLAIM(grant_end(refs[0]), "a persistent grant is still mapped");
  return success("%lu sectors, copied and persistent", sectors);
}
