/**
 * relay: lends its XenStore ring to whoever holds its console. Bytes typed at the console go into req[] as they are, bytes from rsp[]
 * come out of the console as they are. So a test outside can hold any conversation with XenStore from inside a real guest.
 */
#include "kit.h"

static struct console_ring *console;
static struct xenstore_ring *store;
static u32 store_port;

static void on_event(u32 p UNUSED, struct regs *regs UNUSED) {} /* waking up is enough */

/* Moves bytes from one ring to another; returns how many. Counters run freely, sizes are powers of two. */
static u32 move(const char *from, u32 from_size, u32 *consumed, u32 produced, char *to, u32 to_size, u32 to_consumed,
                u32 *to_produced) {
  u32 n = 0;
  barrier();
  while (*consumed + n != produced && *to_produced + n - to_consumed < to_size) {
    to[(*to_produced + n) & (to_size - 1)] = from[(*consumed + n) & (from_size - 1)];
    n++;
  }
  barrier(); /* the bytes before the counters that publish them */
  WRITE_ONCE(*to_produced, *to_produced + n);
  WRITE_ONCE(*consumed, *consumed + n);
  return n;
}

static bool relay(void) {
  u32 asked = move(console->in, sizeof(console->in), &console->in_cons, READ_ONCE(console->in_prod), store->req,
                   sizeof(store->req), READ_ONCE(store->req_cons), &store->req_prod);
  u32 told = move(store->rsp, sizeof(store->rsp), &store->rsp_cons, READ_ONCE(store->rsp_prod), console->out,
                  sizeof(console->out), READ_ONCE(console->out_cons), &console->out_prod);
  if (!asked && !told) return false;
  event_send(store_port);
  event_send(console_port());
  return true;
}

int main(void) {
  console = pfn_to_va(mfn_to_pfn(start_info->console_mfn));
  store = pfn_to_va(mfn_to_pfn(start_info->store_mfn));
  store_port = start_info->store_port;
  event_bind(store_port, on_event);
  for (;;) wait_until(relay());
}
