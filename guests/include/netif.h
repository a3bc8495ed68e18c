/** The network device's rings (public/io/netif.h, ring.h), and a driver for one of them. Start with the functions at the end. */
#pragma once
#include "kit.h"

#define NETTXF_csum_blank     1
#define NETTXF_data_validated 2
#define NETTXF_more_data      4
#define NETTXF_extra_info     8
#define NETRXF_data_validated 1
#define NETRXF_csum_blank     2
#define NETRXF_more_data      4
#define NETRXF_extra_info     8
#define NETIF_RSP_OKAY  0
#define NETIF_RSP_ERROR (-1)
#define NETIF_RSP_NULL  1

struct netif_tx_request  { u32 gref; u16 offset, flags, id, size; };
struct netif_tx_response { u16 id; s16 status; };
struct netif_rx_request  { u16 id, pad; u32 gref; };
struct netif_rx_response { u16 id, offset, flags; s16 status; };

#define NETIF_RING 256

struct netif_tx_ring {
  u32 req_prod, req_event, rsp_prod, rsp_event;
  u8 pad[48];
  union { struct netif_tx_request req; struct netif_tx_response rsp; } slots[NETIF_RING];
};

struct netif_rx_ring {
  u32 req_prod, req_event, rsp_prod, rsp_event;
  u8 pad[48];
  union { struct netif_rx_request req; struct netif_rx_response rsp; } slots[NETIF_RING];
};

#define XENBUS_initialising 1
#define XENBUS_init_wait    2
#define XENBUS_connected    4
#define XENBUS_closing      5
#define XENBUS_closed       6

#define NET_BUFFERS 64 /* pages each way */

struct netfront {
  char front[32], back[80]; /* directories in XenStore */
  u16 backend;
  u32 port, tx_ring_ref, rx_ring_ref;
  u8 mac[6];
  struct netif_tx_ring *tx;
  struct netif_rx_ring *rx;
  u32 tx_prod, tx_cons, rx_prod, rx_cons; /* ours: the shared ones are for the other end */
  u8 *tx_page[NET_BUFFERS], *rx_page[NET_BUFFERS];
  u32 tx_ref[NET_BUFFERS], rx_ref[NET_BUFFERS];
  u16 free[NET_BUFFERS], free_count; /* transmit pages not in use */
  u64 tx_errors, rx_errors;
};

/* lib/netfront.c */
bool net_open(struct netfront *net, u32 devid);   /* finds the device and makes rings and pages; false: none there */
bool net_connect(struct netfront *net);           /* walks the states to Connected; false: the backend does not */
s64 net_state(const char *directory);             /* the `state` node in it */
void net_set_state(struct netfront *net, u32 state);
bool net_await(const char *directory, u32 state, u64 patience_ns);
bool net_send(struct netfront *net, const void *frame, size_t length, u16 flags); /* false: no page is free */
size_t net_receive(struct netfront *net, void *frame, size_t size);               /* 0: nothing waits */
bool net_waits(struct netfront *net);             /* something was received, or sent pages are free again */
bool net_writable(struct netfront *net);          /* a page to send in is free */
