/**
 * Hostile: a network device whose rings lie. Slots of random bytes, chains without end, extras of no type, grants that are
 * none, producers that run ahead and back; when the backend has had enough the device is opened anew, and it goes on.
 * Expected: keeps running until it is destroyed; the backend answers with errors or ends this device's connection.
 */
#include "netif.h"
#include "random.h"

static struct netfront net;

static u32 random_ref(void) { return random_below(2) ? net.tx_ref[random_below(NET_BUFFERS)] : (u32)random_next(); }

/** Like a packet, with one thing wrong now and then. */
static struct netif_tx_request almost_right(void) {
  struct netif_tx_request request = {.gref = net.tx_ref[random_below(NET_BUFFERS)], .size = (u16)(14 + random_below(1500))};
  switch (random_below(8)) {
  case 0: request.size = (u16)random_below(14); break;
  case 1: request.gref = random_ref(); break;
  case 2: request.flags = NETTXF_more_data; request.size = (u16)random_below(200); break;
  case 3: request.flags = (u16)random_below(4); break;
  }
  return request;
}

static void fill(bool wild) {
  for (u32 i = 0; i < NETIF_RING; i++) {
    struct netif_tx_request *request = &net.tx->slots[i].req;
    *request = almost_right();
    if (wild) *request = (struct netif_tx_request){random_ref(), (u16)random_next(), (u16)random_next(), 0, (u16)random_next()};
  }
}

/** Mostly as many more as were answered, so that the slots are looked at; now and then an index that cannot be. */
static void lie_transmitting(void) {
  bool answered = READ_ONCE(net.tx->rsp_prod) == net.tx_prod;
  if (!answered && random_below(1 << 20)) return;
  fill(random_below(16) == 0);
  net.tx_prod += (u32)(random_below(64) == 0 ? random_next() : random_below(NETIF_RING + 1));
  WRITE_ONCE(net.tx->req_prod, net.tx_prod);
  WRITE_ONCE(net.tx->rsp_event, (u32)random_next());
  if (random_below(64) == 0) WRITE_ONCE(net.tx->rsp_prod, (u32)random_next());
}

static void lie_receiving(void) {
  if (READ_ONCE(net.rx->rsp_prod) + NETIF_RING / 2 < net.rx_prod && random_below(1 << 20)) return;
  for (u32 i = 0; i < NETIF_RING; i++)
    net.rx->slots[i].req = (struct netif_rx_request){(u16)random_next(), 0, random_ref()};
  net.rx_prod = READ_ONCE(net.rx->rsp_prod) + (u32)(random_below(256) == 0 ? random_next() : NETIF_RING);
  WRITE_ONCE(net.rx->req_prod, net.rx_prod);
  WRITE_ONCE(net.rx->rsp_event, (u32)random_next());
}

/** Broadcasts that look like ARP keep the neighbours' queues and ours busy. */
static void fill_pages(void) {
  for (u32 i = 0; i < NET_BUFFERS; i++) {
    memset(net.tx_page[i], 0xff, 6);
    memcpy(net.tx_page[i] + 6, net.mac, 6);
    for (u32 at = 12; at < PAGE_SIZE; at += 4) *(u32 *)(net.tx_page[i] + at) = (u32)random_next();
  }
}

/** Through Closed and Initialising to Connected, as a driver that is loaded again. */
static void open_anew(void) {
  net_set_state(&net, XENBUS_closed);
  net_await(net.back, XENBUS_closed, 2000000000);
  event_close(net.port);
  net_set_state(&net, XENBUS_initialising);
  net_connect(&net);
}

int main(void) {
  printk("HOSTILE net-rings: expected: keeps running\n");
  console_flush();
  if (!xs_init()) return failure("no XenStore here");
  grants_init();
  if (!net_open(&net, 0) || !net_connect(&net)) return failure("no network device");
  fill_pages();
  printk("HOSTILE net-rings: begins\n");
  for (u64 round = 0, lives = 0;; round++) {
    lie_transmitting();
    lie_receiving();
    event_send(net.port);
    sched_yield();
    if (round % 64 || net_state(net.back) == XENBUS_connected) continue;
    open_anew();
    printk("HOSTILE net-rings: life %lu ends in round %lu\n", ++lives, round);
  }
}
