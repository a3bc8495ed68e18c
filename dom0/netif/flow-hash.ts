/** Which queue a frame goes to: all of one conversation to the same, so that they stay in order. */

import { read8, read16, read32 } from '../network/wire.js';

const ETHERNET_HEADER = 14;
const ETHERTYPE = 12;
const IPV4 = 0x0800;
const IPV6 = 0x86dd;
const TCP = 6;
const UDP = 17;
/** Multiplier of Knuth's multiplicative hash: 2^32 divided by the golden ratio. */
const GOLDEN = 0x9e37_79b1;

/** @returns a number below `queues`: by the high bits of the hash, on which all bits of what was multiplied have a say. */
export function chooseQueue(bytes: Uint8Array, queues: number): number {
  return queues === 1 ? 0 : Math.floor((hash(bytes) / 2 ** 32) * queues);
}

function hash(bytes: Uint8Array): number {
  const type = read16(bytes, ETHERTYPE);
  if (type === IPV4) return hashIp4(bytes);
  if (type === IPV6) return hashIp6(bytes);
  return mixWords(bytes, 0, 3);
}

/** A fragment has no ports: then the addresses alone decide, for all fragments of a packet alike. */
function hashIp4(bytes: Uint8Array): number {
  const header = (read8(bytes, ETHERNET_HEADER) & 0xf) * 4;
  const isFragment = (read16(bytes, ETHERNET_HEADER + 6) & 0x3fff) !== 0;
  const protocol = read8(bytes, ETHERNET_HEADER + 9);
  const addresses = mixWords(bytes, ETHERNET_HEADER + 12, 2);
  return isFragment ? addresses : mixPorts(addresses, protocol, bytes, ETHERNET_HEADER + header);
}

function hashIp6(bytes: Uint8Array): number {
  const protocol = read8(bytes, ETHERNET_HEADER + 6);
  const addresses = mixWords(bytes, ETHERNET_HEADER + 8, 8);
  return mixPorts(addresses, protocol, bytes, ETHERNET_HEADER + 40);
}

const mixPorts = (before: number, protocol: number, bytes: Uint8Array, at: number): number =>
  protocol === TCP || protocol === UDP ? mix(before, read32(bytes, at)) : before;

function mixWords(bytes: Uint8Array, at: number, words: number): number {
  let result = 0;
  for (let n = 0; n < words; n++) result = mix(result, read32(bytes, at + n * 4));
  return result;
}

function mix(before: number, word: number): number {
  const mixed = Math.imul(before ^ word, GOLDEN);
  return (mixed ^ (mixed >>> 15)) >>> 0;
}
