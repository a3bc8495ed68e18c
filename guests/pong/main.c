/**
 * pong: offers itself in XenStore, maps the page that ping lends, and answers every message with its number and a new value.
 *
 * ABI shown: reading nodes of another domain that it opened for us, mapping a grant at an address of our choice, binding the
 * other end of an unbound event channel, unmapping before the end so that the lender gets its page back.
 * Command line: name=pong peer=ping [domid=N] patience=60.
 */
#include "pingpong.h"

static struct shared_page *page;
static u32 port;
static u64 answered;

/** Answers what waits; false: GOODBYE came or a number is missing. */
static bool answer_some(void) {
  while (channel_waits(&page->there)) {
    struct message m = channel_take(&page->there);
    if (m.sequence != answered + 1) return false;
    channel_put(&page->back, (struct message){m.sequence, reply_value(m.value)});
    answered++;
  }
  event_send(port);
  return true;
}

int main(void) {
  char name[32] = "pong", peer[32] = "ping", domain[16];
  cmdline_get("name", name, sizeof(name));
  cmdline_get("peer", peer, sizeof(peer));
  CLAIM(xs_init(), "no XenStore here");
  CLAIM(publish(name, "ready", 1) >= 0, "cannot write to data/");

  u64 ref, remote_port;
  s64 ping = await_domain(peer, "peer", own_domid());
  CLAIM(ping >= 0, "no domain offers data/%s", peer);
  snprintk(domain, sizeof(domain), "%ld", ping);
  CLAIM(consult(domain, peer, "ref", &ref) && consult(domain, peer, "port", &remote_port), "no ref and port at domain %ld",
        ping);

  u32 handle;
  s64 status;
  page = grant_map((u16)ping, (u32)ref, &handle, &status);
  CLAIM(page, "cannot map grant %lu of domain %ld: %ld", ref, ping, status);
  CLAIM(event_bind_interdomain((u16)ping, (u32)remote_port, &port) == 0, "cannot bind port %lu", remote_port);
  event_bind(port, wake_only);

  do wait_until(channel_waits(&page->there));
  while (answer_some());
  CLAIM(grant_unmap(page, handle) == 0, "cannot unmap the grant");
  event_send(port);
  return success("%lu messages answered for domain %ld", answered, ping);
}
