/**
 * A small network driver: one queue, one event channel, whole frames in one page each, nothing offloaded to us.
 *
 * transmit: take a free page, fill it, publish a request; the response gives the page back by its id.
 * receive:  all pages are posted at once; the response in slot n is about page n mod 64, which is posted again.
 */
#include "netif.h"

static void wake_only(u32 port UNUSED, struct regs *regs UNUSED) {}

static s64 read_node(const char *directory, const char *leaf, char *value, size_t size) {
  char path[128];
  snprintk(path, sizeof(path), "%s/%s", directory, leaf);
  return xs_read(path, value, size);
}

static void write_node(struct netfront *net, const char *leaf, u64 value) {
  char path[128];
  snprintk(path, sizeof(path), "%s/%s", net->front, leaf);
  xs_printf(path, "%lu", value);
}

s64 net_state(const char *directory) {
  char text[16];
  u64 state;
  return read_node(directory, "state", text, sizeof(text)) > 0 && parse_number(text, &state) ? (s64)state : -1;
}

void net_set_state(struct netfront *net, u32 state) { write_node(net, "state", state); }

bool net_await(const char *directory, u32 state, u64 patience_ns) {
  u64 end = now() + patience_ns;
  while (net_state(directory) != (s64)state) {
    if (now() > end) return false;
    sleep_ns(2000000);
  }
  return true;
}

static u8 hex_digit(char c) { return (u8)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10); }

static bool read_mac(struct netfront *net) {
  char text[32];
  if (read_node(net->front, "mac", text, sizeof(text)) != 17) return false;
  for (int i = 0; i < 6; i++) net->mac[i] = (u8)(hex_digit(text[i * 3]) << 4 | hex_digit(text[i * 3 + 1]));
  return true;
}

static void make_rings(struct netfront *net) {
  net->tx = page_alloc();
  net->rx = page_alloc();
  net->tx_ring_ref = grant_access(net->backend, va_to_mfn(net->tx), false);
  net->rx_ring_ref = grant_access(net->backend, va_to_mfn(net->rx), false);
  for (u16 i = 0; i < NET_BUFFERS; i++) {
    net->tx_page[i] = page_alloc();
    net->rx_page[i] = page_alloc();
    net->tx_ref[i] = grant_access(net->backend, va_to_mfn(net->tx_page[i]), true);
    net->rx_ref[i] = grant_access(net->backend, va_to_mfn(net->rx_page[i]), false);
  }
}

bool net_open(struct netfront *net, u32 devid) {
  char text[16];
  u64 backend;
  snprintk(net->front, sizeof(net->front), "device/vif/%u", devid);
  if (read_node(net->front, "backend", net->back, sizeof(net->back)) <= 0) return false;
  if (read_node(net->front, "backend-id", text, sizeof(text)) <= 0 || !parse_number(text, &backend)) return false;
  net->backend = (u16)backend;
  if (!read_mac(net)) return false;
  make_rings(net);
  return true;
}

static void reset_rings(struct netfront *net) {
  memset(net->tx, 0, PAGE_SIZE);
  memset(net->rx, 0, PAGE_SIZE);
  net->tx->req_event = net->tx->rsp_event = net->rx->req_event = net->rx->rsp_event = 1;
  net->tx_prod = net->tx_cons = net->rx_prod = net->rx_cons = 0;
  net->free_count = 0;
  for (u16 i = 0; i < NET_BUFFERS; i++) net->free[net->free_count++] = i;
}

static void post(struct netfront *net) {
  u32 old = net->rx_prod;
  while (net->rx_prod - net->rx_cons < NET_BUFFERS) {
    u32 page = net->rx_prod % NET_BUFFERS;
    net->rx->slots[net->rx_prod++ % NETIF_RING].req = (struct netif_rx_request){.id = (u16)page, .gref = net->rx_ref[page]};
  }
  barrier(); /* requests before the index */
  WRITE_ONCE(net->rx->req_prod, net->rx_prod);
  __sync_synchronize(); /* the index before the look at req_event */
  if (net->rx_prod - READ_ONCE(net->rx->req_event) < net->rx_prod - old) event_send(net->port);
}

bool net_connect(struct netfront *net) {
  reset_rings(net);
  if (!net_await(net->back, XENBUS_init_wait, 10000000000)) return false;
  if (event_alloc_unbound(net->backend, &net->port) != 0) return false;
  event_bind(net->port, wake_only);
  post(net);
  write_node(net, "tx-ring-ref", net->tx_ring_ref);
  write_node(net, "rx-ring-ref", net->rx_ring_ref);
  write_node(net, "event-channel", net->port);
  write_node(net, "request-rx-copy", 1);
  write_node(net, "feature-rx-notify", 1);
  write_node(net, "feature-no-csum-offload", 1);
  net_set_state(net, XENBUS_connected);
  return net_await(net->back, XENBUS_connected, 10000000000);
}

static void collect(struct netfront *net) {
  while (net->tx_cons != READ_ONCE(net->tx->rsp_prod)) {
    barrier();
    struct netif_tx_response rsp = net->tx->slots[net->tx_cons++ % NETIF_RING].rsp;
    if (rsp.status != NETIF_RSP_OKAY) net->tx_errors++;
    if (rsp.id < NET_BUFFERS && net->free_count < NET_BUFFERS) net->free[net->free_count++] = rsp.id;
  }
}

bool net_writable(struct netfront *net) {
  collect(net);
  if (net->free_count) return true;
  WRITE_ONCE(net->tx->rsp_event, net->tx_cons + 1);
  __sync_synchronize();
  collect(net);
  return net->free_count > 0;
}

bool net_send(struct netfront *net, const void *frame, size_t length, u16 flags) {
  if (length > PAGE_SIZE || !net_writable(net)) return false;
  u16 page = net->free[--net->free_count];
  memcpy(net->tx_page[page], frame, length);
  net->tx->slots[net->tx_prod++ % NETIF_RING].req =
      (struct netif_tx_request){.gref = net->tx_ref[page], .flags = flags, .id = page, .size = (u16)length};
  barrier();
  WRITE_ONCE(net->tx->req_prod, net->tx_prod);
  __sync_synchronize();
  if (net->tx_prod - READ_ONCE(net->tx->req_event) < 1) event_send(net->port);
  return true;
}

bool net_waits(struct netfront *net) {
  if (READ_ONCE(net->rx->rsp_prod) != net->rx_cons) return true;
  WRITE_ONCE(net->rx->rsp_event, net->rx_cons + 1);
  __sync_synchronize();
  return READ_ONCE(net->rx->rsp_prod) != net->rx_cons;
}

size_t net_receive(struct netfront *net, void *frame, size_t size) {
  size_t length = 0;
  while (length == 0 && READ_ONCE(net->rx->rsp_prod) != net->rx_cons) {
    barrier();
    struct netif_rx_response rsp = net->rx->slots[net->rx_cons % NETIF_RING].rsp;
    u8 *page = net->rx_page[net->rx_cons++ % NET_BUFFERS];
    if (rsp.status > 0 && rsp.offset + (size_t)rsp.status <= PAGE_SIZE && (size_t)rsp.status <= size)
      memcpy(frame, page + rsp.offset, length = (size_t)rsp.status);
    else net->rx_errors++;
  }
  if (net->rx_prod - net->rx_cons <= NET_BUFFERS / 2) post(net);
  return length;
}
