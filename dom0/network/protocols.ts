/** Numbers of the protocols between Ethernet and TCP, and offsets of their fields. Spec: named at each group. */

/** IEEE 802 numbers (IANA). */
export const ETHERTYPE = { IPV4: 0x0800, ARP: 0x0806, VLAN: 0x8100, IPV6: 0x86dd } as const;
export const ETHERNET_SIZE = 14;
export const VLAN_SIZE = 4;

/** IANA protocol numbers. */
export const IP_PROTOCOL = { ICMP: 1, TCP: 6, UDP: 17, ICMPV6: 58 } as const;

/** RFC 791 §3.1. */
export const IPV4 = {
  LENGTH: 2,
  ID: 4,
  FRAGMENT: 6,
  TTL: 8,
  PROTOCOL: 9,
  CHECKSUM: 10,
  SOURCE: 12,
  DESTINATION: 16,
  SIZE: 20,
} as const;
/** Flags and offset of the field FRAGMENT; the offset counts 8 bytes. */
export const IPV4_FRAGMENT = { DONT: 0x4000, MORE: 0x2000, OFFSET: 0x1fff } as const;

/** RFC 8200 §3. */
export const IPV6 = { LENGTH: 4, NEXT: 6, SOURCE: 8, SIZE: 40 } as const;
/** RFC 8200 §4: extension headers that say their length in 8 bytes beyond the first. */
export const IPV6_EXTENSION = { HOP_BY_HOP: 0, ROUTING: 43, DESTINATION: 60 } as const;

/** RFC 9293 §3.1. */
export const TCP = {
  SOURCE: 0,
  DESTINATION: 2,
  SEQ: 4,
  ACK: 8,
  OFFSET: 12,
  FLAGS: 13,
  WINDOW: 14,
  CHECKSUM: 16,
  URGENT: 18,
  SIZE: 20,
} as const;
export const TCP_FLAG = {
  FIN: 1,
  SYN: 2,
  RST: 4,
  PSH: 8,
  ACK: 0x10,
  URG: 0x20,
  CWR: 0x80,
} as const;

/** RFC 768. */
export const UDP = { SOURCE: 0, DESTINATION: 2, LENGTH: 4, CHECKSUM: 6, SIZE: 8 } as const;
