/** Mutated packets: mostly almost right, so that they get past the first check. */

import { XS } from '../../hypervisor/public/io/xs-wire.js';
import { encodePacket } from '../../xenstore/protocol/packet.js';

/** A small generator with a seed: a failing run can be repeated. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0 || 1;
  }

  /** 0 to limit - 1. */
  below(limit: number): number {
    // xorshift32
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x >>> 0;
    return this.#state % limit;
  }

  pick<Item>(items: readonly Item[]): Item {
    return items[this.below(items.length)] as Item;
  }

  chance(percent: number): boolean {
    return this.below(100) < percent;
  }
}

const TYPES = Object.values(XS);
const PATHS = [
  '/',
  '/f',
  '/f/a',
  '/f/a/b',
  '/f/c',
  'rel',
  '/local/domain/1/x',
  '@introduceDomain',
  '/f/',
  '//',
  '',
  '/tool',
];
const WORDS = [
  't',
  'T',
  'F',
  '0',
  '1',
  '9',
  '-1',
  'n0',
  'b1',
  'r1',
  'x',
  'check',
  'quota',
  'print',
  'v'.repeat(300),
];

/** A request that may be right. */
function request(random: Random): Uint8Array {
  const type = random.chance(96) ? random.pick(TYPES) : random.below(0xffff_ffff);
  const strings = Array.from({ length: random.below(4) }, () =>
    random.chance(60) ? random.pick(PATHS) : random.pick(WORDS),
  );
  let body = strings.join('\0');
  if (random.chance(85)) body += '\0';
  if (random.chance(1)) body += 'z'.repeat(random.below(4096 - body.length));
  const txId = random.chance(70) ? 0 : random.below(4);
  return encodePacket({ type, reqId: random.below(5), txId, body });
}

/** What a mutation may do to the stream. */
export interface Mutated {
  readonly bytes: Uint8Array;
  /** The length field may be wrong: what follows may be read as something else. */
  readonly framing: 'kept' | 'broken';
}

/** One packet, with some of its bytes changed, cut or doubled. */
export function mutate(random: Random): Mutated {
  const bytes = request(random);
  const what = random.below(20);
  if (what < 12) return { bytes, framing: 'kept' };
  if (what < 17) {
    // Body bytes only: the stream stays in step.
    for (let i = 16; i < bytes.length; i++) if (random.chance(10)) bytes[i] = random.below(256);
    return { bytes, framing: 'kept' };
  }
  if (what < 19) {
    bytes[random.below(bytes.length)] = random.below(256);
    return { bytes, framing: 'broken' };
  }
  return { bytes: bytes.subarray(0, random.below(bytes.length + 1)), framing: 'broken' };
}
