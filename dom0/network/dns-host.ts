/** Answers a DNS query by asking this host for the name, as any of its programs would: A and AAAA, and else SERVFAIL. */

import { lookup } from 'node:dns/promises';
import { type Answer, decode, encode, type Packet, type Question } from 'dns-packet';

/** Lookups at once: each occupies a thread of the pool that files are read with. */
const MOST = 2;
/** Seconds a guest may remember an answer. */
const TTL = 60;
const FLAG = { RECURSION_DESIRED: 0x100, RECURSION_AVAILABLE: 0x80 } as const;
const RCODE = { SERVFAIL: 2, NXDOMAIN: 3 } as const;
const FAMILIES: ReadonlyMap<string, 4 | 6> = new Map([
  ['A', 4],
  ['AAAA', 6],
]);

let running = 0;

/** @returns undefined for what is no query of one question. Never rejects. */
export async function answerByHost(query: Uint8Array): Promise<Uint8Array | undefined> {
  const packet = decodeQuery(query);
  const question = packet?.questions?.[0];
  if (!packet || !question || packet.questions?.length !== 1) return undefined;
  const { answers, rcode } = await resolve(question);
  const wish = (packet.flags ?? 0) & FLAG.RECURSION_DESIRED;
  const flags = wish | FLAG.RECURSION_AVAILABLE | rcode;
  const { id } = packet;
  return encode({ type: 'response', id, flags, questions: [question], answers });
}

function decodeQuery(query: Uint8Array): Packet | undefined {
  try {
    return decode(Buffer.from(query));
  } catch {
    return undefined; // dns-packet throws for whatever is malformed
  }
}

async function resolve({ type, name }: Question): Promise<{ answers: Answer[]; rcode: number }> {
  const family = FAMILIES.get(type);
  if (family === undefined || running >= MOST) return { answers: [], rcode: RCODE.SERVFAIL };
  running++;
  try {
    const found = await lookup(name, { all: true, family });
    const kind = family === 4 ? 'A' : 'AAAA';
    const answers = found.map(
      ({ address: data }): Answer => ({ type: kind, name, ttl: TTL, data }),
    );
    return { answers, rcode: 0 };
  } catch (error) {
    const unknown = error instanceof Error && 'code' in error && error.code === 'ENOTFOUND';
    return { answers: [], rcode: unknown ? RCODE.NXDOMAIN : RCODE.SERVFAIL };
  } finally {
    running--;
  }
}
