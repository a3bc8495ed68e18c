/**
 * Hostile: breaks the rules of the rings it shares with dom0: counters that run ahead of each other, messages that
 * claim to be huge, nonsense, and a flood of notifications.
 * Expected: keeps running until it is destroyed; dom0 drops what is senseless, at most this guest's own console and
 * XenStore connection.
 */
#include "kit.h"
#include "random.h"

static struct console_ring *console;
static struct xenstore_ring *store;

static void break_store(u64 round) {
  struct xs_header header = {.type = (u32)random_next(), .req_id = (u32)round, .len = (u32)random_next()};
  memcpy(store->req, &header, sizeof(header));
  for (u32 i = sizeof(header); i < sizeof(store->req); i += 8) *(u64 *)(store->req + i) = random_next();
  WRITE_ONCE(store->req_prod, round & 1 ? store->req_cons + 1024 : (u32)random_next());
  if (round & 2) WRITE_ONCE(store->rsp_cons, (u32)random_next());
  event_send(start_info->store_port);
}

static void break_console(u64 round) {
  WRITE_ONCE(console->out_prod, round & 1 ? console->out_cons + 2048 : (u32)random_next());
  if (round & 2) WRITE_ONCE(console->out_cons, (u32)random_next());
  if (round & 4) WRITE_ONCE(console->in_cons, (u32)random_next());
  event_send(start_info->console_port);
}

int main(void) {
  printk("HOSTILE rings: expected: keeps running\n");
  console_flush();
  if (is_dom0()) return failure("dom0 has no rings");
  console = pfn_to_va(mfn_to_pfn(start_info->console_mfn));
  store = pfn_to_va(mfn_to_pfn(start_info->store_mfn));
  events_disable();
  for (u64 round = 0;; round++) {
    break_store(round);
    break_console(round);
    sched_yield();
  }
}
