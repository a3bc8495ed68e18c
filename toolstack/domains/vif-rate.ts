/** xl's way to write a rate, as the switch wants it. Spec: xl-network-configuration(5), rate. */

import type { RateLimit } from '../../dom0/network/port.js';

const BITS = 8;
const US = 1e6;
const DEFAULT_INTERVAL_US = 50_000;
/** Powers of 1000, as libxlu counts. */
const PREFIX: Readonly<Record<string, number>> = { '': 1, K: 1e3, M: 1e6, G: 1e9 };
/** Microseconds. */
const UNIT: Readonly<Record<string, number>> = {
  '': US,
  s: US,
  ms: 1e3,
  m: 1e3,
  us: 1,
  u: 1,
  ns: 1e-3,
  n: 1e-3,
};

/** @returns undefined for what is no rate, or lets nothing through. */
export function parseRate(text: string): RateLimit | undefined {
  const match = /^(\d+)([KMG]?)([bB])\/s(?:@(\d+)([mun]?s?))?$/.exec(text);
  if (match === null) return undefined;
  const [, amount = '', prefix = '', unit = '', interval, time = ''] = match;
  const perSecond = (Number(amount) * (PREFIX[prefix] ?? 0)) / (unit === 'b' ? BITS : 1);
  const intervalUs =
    interval === undefined ? DEFAULT_INTERVAL_US : Number(interval) * (UNIT[time] ?? 0);
  const bytes = Math.round((perSecond * intervalUs) / US);
  return bytes > 0 ? { bytes, intervalUs } : undefined;
}
