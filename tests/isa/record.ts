/** `npm run vectors [-- family…]`: runs cases on this machine's processor and keeps cases and outcomes in vectors/. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { isHostSpecific } from './check.js';
import { FAMILIES } from './families.js';
import type { Case } from './format.js';
import { familyCases } from './generate.js';
import { runNative } from './native.js';
import { programs, REPERTOIRES } from './programs.js';
import { encodeVectors, VECTORS } from './vectors.js';

/** What part of a family's cases is kept: the rest is for machines that can make their own. */
const SHARE = 0.5;
const SALT = 0;
const PROGRAMS = 1500;

function record(name: string, cases: readonly Case[]): void {
  const outcomes = runNative(cases);
  const vectors = cases
    .map((test, n) => ({ test, outcome: outcomes[n]! }))
    .filter(({ outcome }) => !isHostSpecific(outcome));
  const file = encodeVectors(vectors);
  writeFileSync(new URL(`${name}.bin`, VECTORS), file);
  console.log(`${name}: ${vectors.length} cases, ${file.length} bytes`);
}

mkdirSync(VECTORS, { recursive: true });
const wanted = process.argv.slice(2);
const isWanted = (name: string): boolean => wanted.length === 0 || wanted.includes(name);
for (const family of FAMILIES)
  if (isWanted(family.name)) record(family.name, familyCases(family, SALT, SHARE));
for (const repertoire of REPERTOIRES)
  if (isWanted(`programs-${repertoire}`))
    record(`programs-${repertoire}`, programs(repertoire, SALT, PROGRAMS));
