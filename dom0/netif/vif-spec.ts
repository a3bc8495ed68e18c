/** A network interface as the operator asks for it. Spec: xl-network-configuration(5). */

import { randomInt } from 'node:crypto';
import type { RateLimit } from '../network/port.js';

export interface VifSpec {
  /** Number of the interface: the guest's eth<devid>. */
  readonly devid: number;
  /** "00:16:3e:…", lower case. */
  readonly mac: string;
  /** Name of the switch; informational for the guest. */
  readonly bridge: string;
  /** Limits what the guest sends. */
  readonly rate?: RateLimit | undefined;
  /** Addresses, informational. */
  readonly ip?: string | undefined;
  /** Longest IP packet that is not GSO; 1500 if absent. */
  readonly mtu?: number | undefined;
  /** Whether the guest may use no other address than `mac`; if absent it may, as on Xen, unless another vif has it. */
  readonly antiSpoof?: boolean | undefined;
}

/** The prefix that is Xen's own (OUI 00:16:3e). */
const XEN_OUI = '00:16:3e';
const OCTETS = 3;

/** An address of Xen's own range: 2^24 of them, so two interfaces of one host hardly get the same. */
export function randomMac(random: (limit: number) => number = randomInt): string {
  const octets = Array.from({ length: OCTETS }, () => random(256).toString(16).padStart(2, '0'));
  return [XEN_OUI, ...octets].join(':');
}
