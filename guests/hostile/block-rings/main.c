/**
 * Hostile: a disk's ring full of nonsense: operations, segments, grants and sectors at random, lists of segments that change
 * while they are read, indices that lie; closes and comes back without end.
 * Command line: device=51712 seed=1. Expected: keeps running; dom0 answers with errors or disconnects this disk alone.
 */
#include "blkfront.h"
#include "random.h"

static struct blk blk;
static u32 ref;
static u8 *page;

static void nonsense(union blk_slot *slot) {
  for (u32 i = 0; i < sizeof(slot->bytes); i += 8) *(u64 *)(slot->bytes + i) = random_next();
  slot->request.operation = (u8)random_below(8);
  if (random_below(2)) slot->request.segments = (u8)random_below(13);
  if (random_below(2)) slot->request.sector = random_below(10000);
  for (u32 i = 0; i < BLK_SEGMENTS; i++) {
    struct blk_segment *segment = &slot->request.segment[i];
    if (random_below(4)) segment->gref = random_below(8) ? ref : (u32)random_below(600);
    if (random_below(2)) segment->first = (u8)random_below(9), segment->last = (u8)random_below(9);
  }
}

/** A request that was never published may lie behind the index, and the index may lie. */
static void round(u64 n) {
  u32 count = (u32)random_below(BLK_SLOTS + 1);
  for (u32 i = 0; i < count; i++) nonsense(blk_next(&blk));
  if (n % 16 == 15) blk.produced += (u32)random_next();
  blk_publish(&blk);
  for (u32 i = 0; i < PAGE_SIZE; i += 8) *(u64 *)(page + i) = random_next();
  sleep_ns(200000);
  blk.consumed = READ_ONCE(blk.ring->rsp_prod);
  if (n % 8 == 7) WRITE_ONCE(blk.ring->rsp_prod, (u32)random_next());
}

int main(void) {
  u64 device = cmdline_number("device", 51712);
  random_seed(cmdline_number("seed", 1));
  printk("HOSTILE block-rings: expected: keeps running\n");
  console_flush();
  CLAIM(xs_init(), "no XenStore here");
  grants_init();
  timer_init();
  page = page_alloc();
  ref = grant_access(0, va_to_mfn(page), false);
  for (u64 life = 0;; life++) {
    if (!blk_connect(&blk, device, life & 1)) panic("the backend does not come back");
    for (u64 n = 0; n < 32; n++) round(n);
    printk("life %lu\n", life);
    if (life % 3 == 2) blk_say(&blk, "state", random_next());
    blk_close(&blk);
  }
}
