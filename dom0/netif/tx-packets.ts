/**
 * Packets out of the slots of a transmit ring. The slots are the backend's own copy; everything in them is the guest's word.
 * Spec: Xen public/io/netif.h, "Guest transmit".
 *
 *   slot        first     extras (EXTRA_INFO, MORE)   fragments (MORE_DATA)
 *             +---------+----------+-----+----------+---------+-----+---------+
 *             | request | extra 1  |  …  | extra n  | request |  …  | request |
 *             +---------+----------+-----+----------+---------+-----+---------+
 *   size        whole                                 own             own
 *
 * What Linux's backend answers with an error is refused here; what it ends the connection for is a violation.
 */

import {
  NETIF_EXTRA,
  NETIF_EXTRA_ADDRESS,
  NETIF_EXTRA_INFO,
  NETIF_EXTRA_MORE,
  NETIF_GSO,
  NETIF_NR_SLOTS_MIN,
  NETIF_TX_REQUEST,
  NETTXF,
} from '../../hypervisor/public/io/netif.js';
import type { Gso } from '../network/port.js';

const PAGE_SIZE = 4096;
const ETHERNET_HEADER = 14;
/** A chain longer than a packet may be is refused; one this long is no mistake any more. */
const MALICIOUS_SLOTS = 20;
export const TX_SLOT = NETIF_TX_REQUEST.size;

const REQUEST = NETIF_TX_REQUEST.offset;
const EXTRA = NETIF_EXTRA_INFO.offset;

/** Why a packet is answered with an error. */
export type TxRefusal = 'short' | 'sizes' | 'slots';

/** A wish about multicast frames instead of a packet. */
export interface MulticastWish {
  readonly join: boolean;
  /** Slot of the extra that has the address. */
  readonly slot: number;
}

export interface TxPacket {
  /** The first slot. */
  readonly slot: number;
  /** Extras that follow it. */
  readonly extras: number;
  /** Slots in all, extras included. */
  readonly slots: number;
  /** Bytes in all. */
  readonly size: number;
  /** Bytes of the first fragment; the others say their own. */
  readonly firstSize: number;
  readonly checksumBlank: boolean;
  readonly gso: Gso | undefined;
  readonly multicast: MulticastWish | undefined;
  readonly refusal: TxRefusal | undefined;
}

interface Extras {
  count: number;
  gso: Gso | undefined;
  multicast: MulticastWish | undefined;
}

interface Fragments {
  readonly count: number;
  readonly bytes: number;
}

/** @returns the packets in `count` slots, or in words how the frontend broke the protocol. */
export function parsePackets(slots: DataView, count: number): TxPacket[] | string {
  const packets: TxPacket[] = [];
  for (let slot = 0; slot < count; ) {
    const packet = parsePacket(slots, slot, count);
    if (typeof packet === 'string') return packet;
    packets.push(packet);
    slot += packet.slots;
  }
  return packets;
}

/** Slot of a packet's fragment, the first being 0. */
export const fragmentSlot = ({ slot, extras }: TxPacket, fragment: number): number =>
  fragment === 0 ? slot : slot + extras + fragment;

export const gref = (slots: DataView, slot: number): number =>
  slots.getUint32(slot * TX_SLOT + REQUEST.gref, true);
export const offset = (slots: DataView, slot: number): number =>
  slots.getUint16(slot * TX_SLOT + REQUEST.offset, true);
export const size = (slots: DataView, slot: number): number =>
  slots.getUint16(slot * TX_SLOT + REQUEST.size, true);
export const id = (slots: DataView, slot: number): number =>
  slots.getUint16(slot * TX_SLOT + REQUEST.id, true);
const flags = (slots: DataView, slot: number): number =>
  slots.getUint16(slot * TX_SLOT + REQUEST.flags, true);

/** Offset of the address in a multicast extra. */
export const multicastAddress = ({ slot }: MulticastWish): number =>
  slot * TX_SLOT + NETIF_EXTRA_ADDRESS;

function parsePacket(slots: DataView, slot: number, count: number): TxPacket | string {
  const extras = parseExtras(slots, slot, count);
  if (typeof extras === 'string') return extras;
  const { gso, multicast } = extras;
  const whole = size(slots, slot);
  const checksumBlank = gso !== undefined || (flags(slots, slot) & NETTXF.CSUM_BLANK) !== 0;
  const packet = { slot, extras: extras.count, size: whole, checksumBlank, gso, multicast };
  if (multicast) {
    return { ...packet, slots: 1 + extras.count, firstSize: 0, refusal: undefined };
  }
  const fragments = parseFragments(slots, slot, slot + 1 + extras.count, count);
  if (typeof fragments === 'string') return fragments;
  const firstSize = whole - fragments.bytes;
  const refusal = refuse(whole, firstSize, 1 + fragments.count);
  if (refusal === undefined && offset(slots, slot) + firstSize > PAGE_SIZE) {
    return crossesPage(slots, slot, firstSize);
  }
  return { ...packet, slots: 1 + extras.count + fragments.count, firstSize, refusal };
}

function refuse(whole: number, firstSize: number, slots: number): TxRefusal | undefined {
  if (slots > NETIF_NR_SLOTS_MIN) return 'slots';
  if (firstSize < 0) return 'sizes';
  return whole < ETHERNET_HEADER ? 'short' : undefined;
}

function parseExtras(slots: DataView, first: number, count: number): Extras | string {
  const extras: Extras = { count: 0, gso: undefined, multicast: undefined };
  let more = (flags(slots, first) & NETTXF.EXTRA_INFO) !== 0;
  while (more) {
    extras.count += 1;
    const slot = first + extras.count;
    if (slot >= count) return 'an extra was announced that did not come';
    const violation = parseExtra(slots, slot, extras);
    if (violation !== undefined) return violation;
    more = (slots.getUint8(slot * TX_SLOT + EXTRA.flags) & NETIF_EXTRA_MORE) !== 0;
  }
  return extras;
}

/** Of several of a type the last one counts. @returns what is wrong with it. */
function parseExtra(slots: DataView, slot: number, extras: Extras): string | undefined {
  const type = slots.getUint8(slot * TX_SLOT + EXTRA.type);
  switch (type) {
    case NETIF_EXTRA.GSO:
      return parseGso(slots, slot, extras);
    case NETIF_EXTRA.MCAST_ADD:
    case NETIF_EXTRA.MCAST_DEL:
      extras.multicast = { join: type === NETIF_EXTRA.MCAST_ADD, slot };
      return undefined;
    case NETIF_EXTRA.HASH:
      return undefined; // of use to those who steer by it
    default:
      return `an extra of type ${type}`;
  }
}

function parseGso(slots: DataView, slot: number, extras: Extras): string | undefined {
  const at = slot * TX_SLOT;
  const segment = slots.getUint16(at + EXTRA.gsoSize, true);
  const kind = slots.getUint8(at + EXTRA.gsoType);
  if (segment === 0) return 'GSO with segments of 0 bytes';
  if (kind !== NETIF_GSO.TCPV4 && kind !== NETIF_GSO.TCPV6) return `GSO of type ${kind}`;
  extras.gso = { kind: kind === NETIF_GSO.TCPV4 ? 'tcpv4' : 'tcpv6', size: segment };
  return undefined;
}

/** The fragments after the first. */
function parseFragments(
  slots: DataView,
  first: number,
  second: number,
  count: number,
): Fragments | string {
  let bytes = 0;
  let fragments = 0;
  let more = (flags(slots, first) & NETTXF.MORE_DATA) !== 0;
  while (more) {
    const slot = second + fragments;
    if (slot >= count) return 'a fragment was announced that did not come';
    fragments += 1;
    if (fragments >= MALICIOUS_SLOTS) return `a packet of more than ${MALICIOUS_SLOTS} fragments`;
    const own = size(slots, slot);
    if (offset(slots, slot) + own > PAGE_SIZE) return crossesPage(slots, slot, own);
    bytes += own;
    more = (flags(slots, slot) & NETTXF.MORE_DATA) !== 0;
  }
  return { count: fragments, bytes };
}

const crossesPage = (slots: DataView, slot: number, bytes: number): string =>
  `a fragment of ${bytes} bytes at ${offset(slots, slot)} of its page`;
