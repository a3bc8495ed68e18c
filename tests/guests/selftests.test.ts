/** Each selftest of guests/tests proves its ABI rule here as it does on real Xen. */

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { runAlone, verdictOf } from './verdict.js';

const names = readdirSync(join(import.meta.dirname, '../../guests/tests')).sort();

describe('selftest', () => {
  test.each(names)('%s', (name) => {
    const outcome = runAlone(`test-${name}`, { vcpus: 1, maxVcpus: 2 });
    expect(verdictOf(outcome)).toMatch(/^VERDICT: success: /);
  });
});
