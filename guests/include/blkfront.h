/**
 * A small block frontend: one ring of one page, one request at a time or a ring full of them.
 * ABI shown: io/blkif.h and io/ring.h, the frontend's half of the xenbus handshake.
 */
#pragma once
#include "kit.h"

#define BLK_READ     0
#define BLK_WRITE    1
#define BLK_FLUSH    3
#define BLK_INDIRECT 6
#define BLK_SLOTS    32
#define BLK_SEGMENTS 11
#define SECTOR       512

struct blk_segment { u32 gref; u8 first, last; u16 pad; };

union blk_slot {
  struct {
    u8 operation, segments;
    u16 handle;
    u32 pad;
    u64 id, sector;
    struct blk_segment segment[BLK_SEGMENTS];
  } request;
  struct {
    u8 operation, indirect_operation;
    u16 segments;
    u32 pad;
    u64 id, sector;
    u16 handle, pad2;
    u32 page[8];
  } indirect;
  struct {
    u64 id;
    u8 operation, pad;
    s16 status;
  } response;
  u8 bytes[112];
};

struct blk_ring {
  u32 req_prod, req_event, rsp_prod, rsp_event;
  u8 pad[48];
  union blk_slot slot[BLK_SLOTS];
};

struct blk {
  char home[64], backend[128];
  struct blk_ring *ring;
  u32 ring_ref, port, produced, consumed;
};

static inline void blk_on_event(u32 port UNUSED, struct regs *regs UNUSED) {}

static inline u64 blk_number(const char *directory, const char *node, u64 fallback) {
  char path[192], text[32];
  u64 value;
  snprintk(path, sizeof(path), "%s/%s", directory, node);
  return xs_read(path, text, sizeof(text)) > 0 && parse_number(text, &value) ? value : fallback;
}

static inline void blk_say(struct blk *blk, const char *node, u64 value) {
  char path[96];
  snprintk(path, sizeof(path), "%s/%s", blk->home, node);
  xs_printf(path, "%lu", value);
}

static inline bool blk_await(struct blk *blk, u64 state) {
  for (int i = 0; i < 10000; i++) {
    if (blk_number(blk->backend, "state", 0) == state) return true;
    sleep_ns(1000000);
  }
  return false;
}

/** Connects to a virtual device with a fresh ring. @return whether the backend has come along. */
static inline bool blk_connect(struct blk *blk, u64 device, bool persistent) {
  char path[96];
  snprintk(blk->home, sizeof(blk->home), "device/vbd/%lu", device);
  snprintk(path, sizeof(path), "%s/backend", blk->home);
  if (xs_read(path, blk->backend, sizeof(blk->backend)) <= 0) return false;
  blk_say(blk, "state", 1);
  if (!blk_await(blk, 2)) return false;
  if (!blk->ring) {
    blk->ring = page_alloc();
    blk->ring_ref = grant_access(0, va_to_mfn(blk->ring), false);
  }
  memset(blk->ring, 0, sizeof(*blk->ring));
  blk->ring->req_event = blk->ring->rsp_event = 1;
  blk->produced = blk->consumed = 0;
  if (event_alloc_unbound(0, &blk->port) != 0) return false;
  event_bind(blk->port, blk_on_event);
  blk_say(blk, "ring-ref", blk->ring_ref);
  blk_say(blk, "event-channel", blk->port);
  blk_say(blk, "feature-persistent", persistent);
  snprintk(path, sizeof(path), "%s/protocol", blk->home);
  xs_write(path, "x86_64-abi");
  blk_say(blk, "state", 3);
  if (!blk_await(blk, 4)) return false;
  blk_say(blk, "state", 4);
  return true;
}

static inline void blk_close(struct blk *blk) {
  blk_say(blk, "state", 6);
  blk_await(blk, 6);
  event_close(blk->port);
}

/** The next free slot, cleared; it is seen by the backend after blk_publish. */
static inline union blk_slot *blk_next(struct blk *blk) {
  union blk_slot *slot = &blk->ring->slot[blk->produced++ % BLK_SLOTS];
  memset(slot, 0, sizeof(*slot));
  return slot;
}

static inline void blk_publish(struct blk *blk) {
  barrier(); /* requests before the index */
  WRITE_ONCE(blk->ring->req_prod, blk->produced);
  event_send(blk->port);
}

static inline bool blk_answered(struct blk *blk) { return READ_ONCE(blk->ring->rsp_prod) != blk->consumed; }

/** Waits for the next answer. @return its status; *id says to what. */
static inline s64 blk_answer(struct blk *blk, u64 *id) {
  wait_until(blk_answered(blk));
  barrier(); /* the index before the response */
  union blk_slot *slot = &blk->ring->slot[blk->consumed++ % BLK_SLOTS];
  *id = slot->response.id;
  s64 status = slot->response.status;
  WRITE_ONCE(blk->ring->rsp_event, blk->consumed + 1);
  return status;
}
