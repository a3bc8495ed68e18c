/** Every transcript, over sockets, over rings, and against Debian's C xenstored. */

import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { peerTest } from './peers.js';
import { expected, play, type Transcript } from './transcript.js';
import { ALL_TRANSCRIPTS as ALL, titleOf as title } from './transcripts/all.js';
import {
  buildStub,
  cWorld,
  cXenstoredMissing,
  ourWorld,
  scratchDirectory,
  type World,
} from './world.js';

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

test('README.md lists every difference', () => {
  const readme = readFileSync(join(import.meta.dirname, 'README.md'), 'utf8').replace(/\s+/g, ' ');
  for (const { rows } of ALL) {
    for (const differs of rows.flat().filter((one) => typeof one === 'object')) {
      expect(readme).toContain(differs.because);
    }
  }
});
