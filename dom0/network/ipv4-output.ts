/**
 * Packets from the NAT to guests. All are made in one buffer, one at a time: whoever sends writes what IP carries to
 * `bytes` at `PAYLOAD`, then calls `send`. What is longer than the MTU and no GSO goes as fragments.
 * Spec: RFC 791 §2.3, §3.2 (fragmentation).
 */

import { addToSum, checksumOf } from './checksum.js';
import type { Ipv4Address } from './ipv4.js';
import { MAC_SIZE, type Mac, writeMac } from './mac.js';
import { type Frame, MAX_FRAME } from './port.js';
import { ETHERNET_SIZE, ETHERTYPE, IPV4, IPV4_FRAGMENT } from './protocols.js';
import { write16, write32 } from './wire.js';

/** Where in `bytes` begins what IP carries. */
export const PAYLOAD = ETHERNET_SIZE + IPV4.SIZE;
const TTL = 64;
const VERSION_AND_SIZE = 0x45;

export interface Ipv4Route {
  /** The guest. */
  readonly mac: Mac;
  readonly source: Ipv4Address;
  readonly destination: Ipv4Address;
  readonly protocol: number;
}

/** What may be left undone: as in Frame. */
export type Undone = Pick<Frame, 'checksumBlank' | 'gso'>;
const NOTHING_UNDONE: Undone = {};

export class Ipv4Output {
  readonly bytes = new Uint8Array(MAX_FRAME);
  readonly #mac: Mac;
  readonly #mtu: number;
  readonly #send: (frame: Frame) => void;
  #id: number;

  /** @param mac the sender's; @param firstId id of the first packet. */
  constructor(mac: Mac, mtu: number, firstId: number, send: (frame: Frame) => void) {
    this.#mac = mac;
    this.#mtu = mtu;
    this.#id = firstId;
    this.#send = send;
  }

  /** Sends the `length` bytes at PAYLOAD. */
  send(route: Ipv4Route, length: number, undone: Undone = NOTHING_UNDONE): void {
    this.#id = (this.#id + 1) & 0xffff;
    if (undone.gso || IPV4.SIZE + length <= this.#mtu) {
      this.#writeHeaders(this.bytes, route, length, undone.gso ? IPV4_FRAGMENT.DONT : 0);
      this.#send({ ...undone, bytes: this.bytes.subarray(0, PAYLOAD + length) });
    } else {
      this.#sendFragments(route, length);
    }
  }

  /** Any frame with our address as its source: ARP. */
  sendRaw(to: Mac, ethertype: number, payload: Uint8Array): void {
    this.#writeEthernet(this.bytes, to, ethertype);
    this.bytes.set(payload, ETHERNET_SIZE);
    this.#send({ bytes: this.bytes.subarray(0, ETHERNET_SIZE + payload.length) });
  }

  #sendFragments(route: Ipv4Route, length: number): void {
    const step = (this.#mtu - IPV4.SIZE) & ~7;
    for (let at = 0; at < length; at += step) {
      const size = Math.min(step, length - at);
      const frame = new Uint8Array(PAYLOAD + size);
      frame.set(this.bytes.subarray(PAYLOAD + at, PAYLOAD + at + size), PAYLOAD);
      const more = at + size < length ? IPV4_FRAGMENT.MORE : 0;
      this.#writeHeaders(frame, route, size, more | (at / 8));
      this.#send({ bytes: frame });
    }
  }

  #writeHeaders(frame: Uint8Array, route: Ipv4Route, length: number, fragment: number): void {
    this.#writeEthernet(frame, route.mac, ETHERTYPE.IPV4);
    const at = ETHERNET_SIZE;
    write16(frame, at, VERSION_AND_SIZE << 8);
    write16(frame, at + IPV4.LENGTH, IPV4.SIZE + length);
    write16(frame, at + IPV4.ID, this.#id);
    write16(frame, at + IPV4.FRAGMENT, fragment);
    write16(frame, at + IPV4.TTL, (TTL << 8) | route.protocol);
    write16(frame, at + IPV4.CHECKSUM, 0);
    write32(frame, at + IPV4.SOURCE, route.source);
    write32(frame, at + IPV4.DESTINATION, route.destination);
    write16(frame, at + IPV4.CHECKSUM, checksumOf(addToSum(0, frame, at, PAYLOAD)));
  }

  #writeEthernet(frame: Uint8Array, to: Mac, ethertype: number): void {
    writeMac(frame, 0, to);
    writeMac(frame, MAC_SIZE, this.#mac);
    write16(frame, 2 * MAC_SIZE, ethertype);
  }
}
