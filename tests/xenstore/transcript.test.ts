/** Every transcript, over sockets, over rings, and against Debian's C xenstored. */

import { rmSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import { peerTest } from './peers.js';
import { expected, play, type Transcript } from './transcript.js';
import { OPERATIONS } from './transcripts/operations.js';
import { PERMISSIONS } from './transcripts/permissions.js';
import { PROTOCOL } from './transcripts/protocol.js';
import { QUOTAS } from './transcripts/quotas.js';
import { TRANSACTIONS } from './transcripts/transactions.js';
import { WATCHES } from './transcripts/watches.js';
import {
  buildStub,
  cWorld,
  cXenstoredMissing,
  ourWorld,
  scratchDirectory,
  type World,
} from './world.js';

const ALL: readonly Transcript[] = [
  ...PROTOCOL,
  ...OPERATIONS,
  ...PERMISSIONS,
  ...WATCHES,
  ...TRANSACTIONS,
  ...QUOTAS,
];
const title = ({ rule, title: text }: Transcript): string => `rule ${rule}: ${text}`;

async function check(world: World, script: Transcript): Promise<void> {
  try {
    expect(await play(world, script)).toEqual(expected(world, script));
  } finally {
    await world.close();
  }
}

describe.each(['socket', 'ring'] as const)(
  'ours, privileged connections over a %s',
  (transport) => {
    for (const script of ALL) {
      test(title(script), async () => check(await ourWorld(transport), script));
    }
  },
);

describe('C xenstored', () => {
  const missing = cXenstoredMissing();
  const directory = scratchDirectory();
  const library = missing === undefined ? buildStub(directory) : '';
  afterAll(() => rmSync(directory, { recursive: true }));
  for (const script of ALL) {
    if (script.oursOnly !== undefined) continue;
    peerTest(missing, title(script), async () => check(await cWorld(library), script));
  }
});

test('every rule but those of the bare transport has a transcript', () => {
  const rules = new Set(ALL.map(({ rule }) => rule));
  const elsewhere = [1, 32]; // socket.test.ts, ring.test.ts
  for (let rule = 1; rule <= 32; rule++) {
    expect(rules.has(rule) || elsewhere.includes(rule), `rule ${rule}`).toBe(true);
  }
});
