/** Each error number that a handler of the hypervisor gives has a meaning in words. */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { errnoMeaning } from '../../hypervisor/public/errno-meaning.js';

const HYPERVISOR = join(import.meta.dirname, '../../hypervisor');

test('every error number that is given is explained', () => {
  const used = new Set<string>();
  for (const name of readdirSync(HYPERVISOR, { recursive: true, encoding: 'utf8' })) {
    if (!name.endsWith('.ts') || name.startsWith('public')) continue;
    const source = readFileSync(join(HYPERVISOR, name), 'utf8');
    for (const [, errno] of source.matchAll(/ERRNO\.(E\w+)|ControlError\(\s*'(E\w+)'/g)) {
      if (errno !== undefined) used.add(errno);
    }
  }
  expect(used.size).toBeGreaterThan(10);
  expect([...used].filter((errno) => errnoMeaning(errno) === undefined)).toEqual([]);
  expect(errnoMeaning('constructor')).toBeUndefined();
});
