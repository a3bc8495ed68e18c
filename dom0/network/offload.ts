/**
 * What a network card does for its driver, done in software for receivers that cannot take it undone: checksums are
 * completed, long TCP segments cut.
 *
 * The pseudo-header is summed anew, not taken from the field, so a guest's mistake there harms nobody.
 */

import { addToSum, checksumOf, pseudoHeaderSum } from './checksum.js';
import { checksumField, type FrameLayout, layoutOf } from './frame-layout.js';
import { type Frame, MAX_FRAME, type PortCapabilities } from './port.js';
import {
  ETHERNET_SIZE,
  ETHERTYPE,
  IP_PROTOCOL,
  IPV4,
  IPV6,
  TCP,
  TCP_FLAG,
  VLAN_SIZE,
} from './protocols.js';
import { read8, read16, read32, write16, write32 } from './wire.js';

/** Shortest payload a guest may have its segments cut to, so that one frame makes no flood of frames. */
const MIN_SEGMENT = 48;

/** Cut or completed frames are made here, one at a time: who is given one does not keep it. */
const scratch = new Uint8Array(MAX_FRAME);
const adapted: { bytes: Uint8Array } = { bytes: scratch };

/** Who takes frames as `adaptFrame` makes them. */
export interface FrameTaker {
  take(frame: Frame): void;
}

/**
 * Gives the receiver the frame as it can take it: as it is, with its checksum completed, or cut to several.
 * @returns 'malformed' for GSO that is no TCP segment, 'too-long' for what it cannot take in any form.
 */
export function adaptFrame(
  frame: Frame,
  can: PortCapabilities,
  receiver: FrameTaker,
): 'malformed' | 'too-long' | undefined {
  if (frame.gso) {
    const capable = frame.gso.kind === 'tcpv4' ? can.gsoTcp4 : can.gsoTcp6;
    if (!capable || !can.checksum) return cutFrame(frame.bytes, frame.gso, can.maxFrame, receiver);
  } else if (frame.bytes.length > can.maxFrame + tagsSize(frame.bytes)) {
    return 'too-long';
  } else if (frame.checksumBlank && !can.checksum) {
    adapted.bytes = completedCopy(frame.bytes);
    receiver.take(adapted);
    return undefined;
  }
  receiver.take(frame);
  return undefined;
}

/** A VLAN tag does not count in the length of a frame: IEEE 802.3 §3.2.7. */
const tagsSize = (bytes: Uint8Array): number =>
  read16(bytes, ETHERNET_SIZE - 2) === ETHERTYPE.VLAN ? VLAN_SIZE : 0;

/** A copy of a frame with its checksum computed, in a buffer that the next call uses again. */
export function completedCopy(bytes: Uint8Array): Uint8Array {
  scratch.set(bytes);
  const copy = scratch.subarray(0, bytes.length);
  const layout = layoutOf(copy);
  if (layout) completeChecksum(copy, layout);
  return copy;
}

/** Computes the checksum of TCP or UDP and writes it to its field. */
function completeChecksum(bytes: Uint8Array, layout: FrameLayout): void {
  const field = checksumField(layout);
  write16(bytes, field, 0);
  const checksum = checksumOf(transportSum(bytes, layout));
  const isUdp = layout.protocol === IP_PROTOCOL.UDP;
  write16(bytes, field, isUdp && checksum === 0 ? 0xffff : checksum); // RFC 768: 0 means that there is none
}

/** Sum over pseudo-header, header and data: 0xffff when folded if the checksum in it is right. */
function transportSum(bytes: Uint8Array, layout: FrameLayout): number {
  const { version, ip, transport, protocol, end } = layout;
  const [addresses, size] = version === 4 ? [ip + IPV4.SOURCE, 4] : [ip + IPV6.SOURCE, 16];
  const pseudo = pseudoHeaderSum(bytes, addresses, size, protocol, end - transport);
  return addToSum(pseudo, bytes, transport, end);
}

function cutFrame(
  bytes: Uint8Array,
  { kind, size }: { readonly kind: 'tcpv4' | 'tcpv6'; readonly size: number },
  maxFrame: number,
  receiver: FrameTaker,
): 'malformed' | undefined {
  const layout = layoutOf(bytes);
  if (layout?.protocol !== IP_PROTOCOL.TCP || layout.version !== (kind === 'tcpv4' ? 4 : 6)) {
    return 'malformed';
  }
  const data = layout.transport + (read8(bytes, layout.transport + TCP.OFFSET) >>> 4) * 4;
  const step = Math.trunc(Math.min(size, maxFrame + tagsSize(bytes) - data));
  if (!(step >= MIN_SEGMENT) || data < layout.transport + TCP.SIZE || data > layout.end) {
    return 'malformed';
  }
  scratch.set(bytes.subarray(0, data));
  let at = data;
  do {
    const to = Math.min(at + step, layout.end);
    scratch.set(bytes.subarray(at, to), data);
    adapted.bytes = scratch.subarray(0, data + to - at);
    rewriteHeaders(adapted.bytes, bytes, layout, at - data, (at - data) / step);
    receiver.take(adapted);
    at = to;
  } while (at < layout.end);
  return undefined;
}

/** Lengths, IP id, sequence number, flags and checksums of the segment whose data lies `offset` bytes into the whole. */
function rewriteHeaders(
  segment: Uint8Array,
  whole: Uint8Array,
  { version, ip, transport, protocol, end }: FrameLayout,
  offset: number,
  index: number,
): void {
  if (version === 4) {
    write16(segment, ip + IPV4.LENGTH, segment.length - ip);
    write16(segment, ip + IPV4.ID, read16(whole, ip + IPV4.ID) + index);
    write16(segment, ip + IPV4.CHECKSUM, 0);
    write16(segment, ip + IPV4.CHECKSUM, checksumOf(addToSum(0, segment, ip, transport)));
  } else {
    write16(segment, ip + IPV6.LENGTH, segment.length - ip - IPV6.SIZE);
  }
  const isLast = offset + segment.length >= end;
  let flags = read8(whole, transport + TCP.FLAGS);
  if (!isLast) flags &= ~(TCP_FLAG.FIN | TCP_FLAG.PSH);
  if (index > 0) flags &= ~TCP_FLAG.CWR; // RFC 3168 §6.1.2: told once
  segment[transport + TCP.FLAGS] = flags;
  write32(segment, transport + TCP.SEQ, read32(whole, transport + TCP.SEQ) + offset);
  completeChecksum(segment, { version, ip, transport, protocol, end: segment.length });
}
