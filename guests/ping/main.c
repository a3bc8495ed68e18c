/**
 * ping: finds pong by XenStore, lends it a page, and exchanges numbered messages with it until the last has come back.
 *
 * ABI shown: publishing under one's own data/ with SET_PERMS, grant entries (access first granted, then ended when the flags
 * say nobody maps the frame), an interdomain event channel offered as unbound port, memory shared between two domains.
 * Command line: name=ping peer=pong [domid=N] count=100000 window=32 patience=60.
 */
#include "pingpong.h"

static struct shared_page *page;
static u32 port;
static u64 next_send = 1, next_receive = 1;

/** Fills the window; returns whether something was sent. */
static bool send_some(u64 count, u64 window) {
  bool sent = false;
  for (; next_send <= count && next_send - next_receive < window; next_send++, sent = true)
    channel_put(&page->there, (struct message){next_send, next_send * 3});
  return sent;
}

/** Takes what came back; false: a message was lost, doubled or changed. */
static bool receive_some(void) {
  while (channel_waits(&page->back)) {
    struct message m = channel_take(&page->back);
    if (m.sequence != next_receive || m.value != reply_value(m.sequence * 3)) return false;
    next_receive++;
  }
  return true;
}

static void say_goodbye(u32 ref) {
  channel_put(&page->there, (struct message){GOODBYE, 0});
  event_send(port);
  for (int i = 0; i < 1000 && !grant_end(ref); i++) sleep_ns(1000000);
}

int main(void) {
  char name[32] = "ping", peer[32] = "pong";
  cmdline_get("name", name, sizeof(name));
  cmdline_get("peer", peer, sizeof(peer));
  u64 count = cmdline_number("count", 100000), window = cmdline_number("window", 32);
  if (window < 1 || window > SLOTS) window = SLOTS;
  CLAIM(xs_init(), "no XenStore here");
  grants_init();

  s64 pong = await_domain(peer, "ready", -1);
  CLAIM(pong >= 0, "no domain offers data/%s", peer);
  page = page_alloc();
  u32 ref = grant_access((u16)pong, va_to_mfn(page), false);
  CLAIM(event_alloc_unbound((u16)pong, &port) == 0, "no event channel for domain %ld", pong);
  event_bind(port, wake_only);
  publish(name, "ref", ref);
  publish(name, "port", port);
  CLAIM(publish(name, "peer", (u64)pong) >= 0, "cannot write to data/");
  printk("%s: domain %u lends grant %u and port %u to domain %ld\n", name, own_domid(), ref, port, pong);

  u64 start = now();
  while (next_receive <= count) {
    if (send_some(count, window)) event_send(port);
    wait_until(channel_waits(&page->back));
    CLAIM(receive_some(), "message %lu is wrong", next_receive);
  }
  u64 elapsed = now() - start;
  say_goodbye(ref);
  return success("%lu messages to domain %ld and back, none lost, %lu ns", count, pong, elapsed);
}
