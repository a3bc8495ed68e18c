/**
 * The PV network device: a transmit ring and a receive ring for each queue, and the XenStore nodes that announce them.
 * Spec: Xen public/io/netif.h. "Transmit" and "receive" are the guest's.
 *
 *   transmit, 12 bytes a slot                          receive, 8 bytes a slot
 *
 *   request     0  gref    u32                         request     0  id      u16
 *               4  offset  u16   first byte in page                2  pad     u16
 *               6  flags   u16   NETTXF                            4  gref    u32
 *               8  id      u16                         response    0  id      u16
 *              10  size    u16                                     2  offset  u16   first byte in page
 *   response    0  id      u16                                     4  flags   u16   NETRXF
 *               2  status  s16   NETIF_RSP                         6  status  s16   bytes, or NETIF_RSP
 *
 * A packet is a chain of slots. The first may be followed by extras (flag EXTRA_INFO), then come its other fragments (flag
 * MORE_DATA). A transmitted packet's first slot has the size of the whole, a received one's the size of its fragment.
 * A response lies in the slot of its request: frontends of Linux rely on it for what they receive, since extras have no id.
 */

import { struct } from '../struct.js';

/** `struct netif_tx_request`. */
export const NETIF_TX_REQUEST = struct('netif_tx_request', {
  gref: 'u32',
  offset: 'u16',
  /** NETTXF. */
  flags: 'u16',
  /** Echoed in the response. */
  id: 'u16',
  size: 'u16',
});

/** `struct netif_tx_response`. */
export const NETIF_TX_RESPONSE = struct('netif_tx_response', {
  id: 'u16',
  /** NETIF_RSP. */
  status: 's16',
});

/** `struct netif_rx_request`. */
export const NETIF_RX_REQUEST = struct('netif_rx_request', {
  id: 'u16',
  pad: 'u16',
  gref: 'u32',
});

/** `struct netif_rx_response`. */
export const NETIF_RX_RESPONSE = struct('netif_rx_response', {
  id: 'u16',
  offset: 'u16',
  /** NETRXF. */
  flags: 'u16',
  /** Bytes received, or a negative NETIF_RSP. */
  status: 's16',
});

/**
 * `struct netif_extra_info`: takes the place of a request when it is transmitted, of a response when received.
 *
 *     0     1     2     3     4     5     6     7
 *   +-----+-----+-----------+-----+-----+-----------+
 *   |type |flags| size      |gso  | pad | features  |   GSO: size of a segment's payload, NETIF_GSO
 *   +-----+-----+-----------+-----+-----+-----------+
 *   |type |flags| address                           |   MCAST_ADD, MCAST_DEL
 *   +-----+-----+-----+-----+-----------------------+
 *   |type |flags|htype| alg | value                 |   HASH
 *   +-----+-----+-----+-----+-----------------------+
 */
export const NETIF_EXTRA_INFO = struct('netif_extra_info', {
  /** NETIF_EXTRA. */
  type: 'u8',
  /** NETIF_EXTRA_MORE, or 0. */
  flags: 'u8',
  gsoSize: 'u16',
  /** NETIF_GSO. */
  gsoType: 'u8',
  pad: 'u8',
  gsoFeatures: 'u16',
});

/** Byte offset of the address in a MCAST_ADD or MCAST_DEL extra. */
export const NETIF_EXTRA_ADDRESS = 2;

/** Flags of a transmit request. */
// biome-ignore format: one row per flag
export const NETTXF = {
  /** The TCP or UDP checksum is not computed: only that of the pseudo-header is in its place. */
  CSUM_BLANK:     1 << 0,
  /** The checksum is known to be right, or blank. */
  DATA_VALIDATED: 1 << 1,
  /** The packet goes on in the next slot that is no extra. */
  MORE_DATA:      1 << 2,
  /** The next slot is an extra. */
  EXTRA_INFO:     1 << 3,
} as const;

/** Flags of a receive response: the first two are not in the order of NETTXF. */
// biome-ignore format: one row per flag
export const NETRXF = {
  DATA_VALIDATED: 1 << 0,
  CSUM_BLANK:     1 << 1,
  MORE_DATA:      1 << 2,
  EXTRA_INFO:     1 << 3,
  /** Deprecated form of GSO. */
  GSO_PREFIX:     1 << 4,
} as const;

/** Types of extras. */
// biome-ignore format: one row per type
export const NETIF_EXTRA = {
  NONE:      0, // never valid
  GSO:       1,
  /** The packet is none: its sender wants to receive frames for the address. */
  MCAST_ADD: 2,
  MCAST_DEL: 3,
  HASH:      4,
} as const;

/** Flag of an extra: another one follows in the next slot. */
export const NETIF_EXTRA_MORE = 1;

/** Types of GSO. */
export const NETIF_GSO = { NONE: 0, TCPV4: 1, TCPV6: 2 } as const;

/** Status of a response. */
// biome-ignore format: one row per status
export const NETIF_RSP = {
  DROPPED: -2,
  ERROR:   -1,
  OKAY:     0,
  /** The slot held an extra. */
  NULL:     1,
} as const;

/** Slots of a packet, extras aside, that a backend must take; frontends send no more unless they agreed on it. */
export const NETIF_NR_SLOTS_MIN = 18;
/** Bytes of the largest packet: what `size` can say. */
export const NETIF_MAX_TX_SIZE = 0xffff;

/**
 * Nodes of a backend, below `/local/domain/<backend-domid>/backend/vif/<domid>/<devid>/`. Features are "0" or "1", and not
 * offered if absent.
 *
 * mac
 *   Values:        <six octets in hexadecimal, separated by colons>
 *   Address of the interface; the same in the frontend's directory.
 * handle
 *   Values:        <devid>
 *   Number of the interface; the same in the frontend's directory.
 * bridge
 *   Values:        <name>
 *   What it is attached to. Informational for others than the backend.
 * rate
 *   Values:        <bytes>,<microseconds>
 *   Limit of what the frontend sends in each such interval.
 * ip
 *   Values:        <addresses>
 *   Informational.
 * script
 *   Values:        <path>
 *   Hotplug script. Ours has none.
 * hotplug-status
 *   Values:        "connected"
 *   Whether the interface has been attached to its bridge.
 * feature-sg
 *   Packets in more than one slot.
 * feature-gso-tcpv4, feature-gso-tcpv6
 *   TCP segments of up to 64 KiB, to be cut by whoever cannot take them.
 * feature-ipv6-csum-offload
 *   Blank checksums over IPv6. Over IPv4 they are taken unless feature-no-csum-offload says otherwise.
 * feature-rx-copy, feature-rx-flip
 *   Received packets are copied into granted pages; pages are exchanged.
 * feature-multicast-control, feature-dynamic-multicast-control
 *   The backend filters multicast frames if the frontend requests it; the request may change at any time.
 * feature-split-event-channels
 *   A queue may have a channel for each of its rings.
 * multi-queue-max-queues
 *   Values:        <number>
 *   Queues that a frontend may use.
 */
export const NETIF_BACKEND_NODES = {
  MAC: 'mac',
  HANDLE: 'handle',
  BRIDGE: 'bridge',
  RATE: 'rate',
  IP: 'ip',
  SCRIPT: 'script',
  HOTPLUG_STATUS: 'hotplug-status',
  SG: 'feature-sg',
  GSO_TCPV4: 'feature-gso-tcpv4',
  GSO_TCPV6: 'feature-gso-tcpv6',
  IPV6_CSUM: 'feature-ipv6-csum-offload',
  RX_COPY: 'feature-rx-copy',
  RX_FLIP: 'feature-rx-flip',
  MULTICAST_CONTROL: 'feature-multicast-control',
  DYNAMIC_MULTICAST_CONTROL: 'feature-dynamic-multicast-control',
  SPLIT_EVENT_CHANNELS: 'feature-split-event-channels',
  MAX_QUEUES: 'multi-queue-max-queues',
} as const;

/**
 * Nodes of a frontend, below `/local/domain/<domid>/device/vif/<devid>/`. Features are "0" or "1".
 *
 * tx-ring-ref, rx-ring-ref
 *   Values:        <grant reference>
 *   The pages of the two rings. With two queues or more below queue-<n>/ instead, as the event channels are.
 * event-channel
 *   Values:        <event-channel port>
 *   One channel for both rings.
 * event-channel-tx, event-channel-rx
 *   Values:        <event-channel port>
 *   A channel for each.
 * multi-queue-num-queues
 *   Values:        <number>, 1 to the backend's multi-queue-max-queues
 *   Default Value: 1
 * request-rx-copy
 *   Must be "1".
 * feature-rx-notify
 *   An event comes with requests on the receive ring when the backend has asked for it.
 * feature-sg, feature-gso-tcpv4, feature-gso-tcpv6, feature-ipv6-csum-offload
 *   What it can receive; nothing of it if absent.
 * feature-no-csum-offload
 *   It cannot receive blank checksums over IPv4.
 * request-multicast-control
 *   It wants no multicast frames but those for addresses it has added.
 * mtu
 *   Values:        <bytes>
 *   Default Value: 1500
 *   Written by the toolstack.
 */
export const NETIF_FRONTEND_NODES = {
  TX_RING_REF: 'tx-ring-ref',
  RX_RING_REF: 'rx-ring-ref',
  EVENT_CHANNEL: 'event-channel',
  EVENT_CHANNEL_TX: 'event-channel-tx',
  EVENT_CHANNEL_RX: 'event-channel-rx',
  NUM_QUEUES: 'multi-queue-num-queues',
  REQUEST_RX_COPY: 'request-rx-copy',
  RX_NOTIFY: 'feature-rx-notify',
  SG: 'feature-sg',
  GSO_TCPV4: 'feature-gso-tcpv4',
  GSO_TCPV6: 'feature-gso-tcpv6',
  NO_CSUM: 'feature-no-csum-offload',
  IPV6_CSUM: 'feature-ipv6-csum-offload',
  REQUEST_MULTICAST_CONTROL: 'request-multicast-control',
  MTU: 'mtu',
} as const;

/** Directory of one of several queues, within the frontend's. */
export const queueDirectory = (queue: number): string => `queue-${queue}`;
