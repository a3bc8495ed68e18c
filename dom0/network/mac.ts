/** Ethernet addresses as numbers below 2^48, which a Map finds faster than text. Spec: IEEE 802. */

import { read8, read16, read32, write16, write32 } from './wire.js';

declare const macBrand: unique symbol;
export type Mac = number & { readonly [macBrand]: 'Mac' };

export const MAC_SIZE = 6;
export const BROADCAST_MAC = 0xffff_ffff_ffff as Mac;

const TEXT = /^[0-9a-f]{2}([:-][0-9a-f]{2}){5}$/i;

export const readMac = (bytes: Uint8Array, at: number): Mac =>
  (read16(bytes, at) * 2 ** 32 + read32(bytes, at + 2)) as Mac;

/** Broadcast included. */
export const isMulticast = (bytes: Uint8Array, at: number): boolean => (read8(bytes, at) & 1) !== 0;

/** @throws TypeError if it is not the text of an address of one station. */
export function parseMac(text: string): Mac {
  const mac = TEXT.test(text) ? Number.parseInt(text.replace(/[:-]/g, ''), 16) : Number.NaN;
  const multicast = Math.floor(mac / 2 ** 40) % 2 === 1;
  if (Number.isNaN(mac) || multicast) throw new TypeError(`not a MAC address: ${text}`);
  return mac as Mac;
}

export const formatMac = (mac: Mac): string =>
  mac
    .toString(16)
    .padStart(12, '0')
    .replace(/..(?=.)/g, '$&:');

export function writeMac(bytes: Uint8Array, at: number, mac: Mac): void {
  write16(bytes, at, Math.floor(mac / 2 ** 32));
  write32(bytes, at + 2, mac % 2 ** 32);
}
