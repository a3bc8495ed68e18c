/** Recorded outcomes of a real processor, replayed: needs neither a compiler nor an x86-64. */

import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { check } from './check.js';
import { FAMILIES } from './families.js';
import { Interpreter } from './interpreter.js';
import { decodeVectors, VECTORS } from './vectors.js';

const files = readdirSync(VECTORS).filter((name) => name.endsWith('.bin'));

describe('the interpreter does what the real processor did', () => {
  const interpreter = new Interpreter();

  test.each(files)('%s', (name) => {
    const vectors = decodeVectors(readFileSync(new URL(name, VECTORS)));
    const { cases, differing, text } = check(interpreter, vectors);
    expect(cases).toBeGreaterThan(0);
    expect(differing.length, text).toBe(0);
  });
});

test('every family has its recorded cases', () => {
  const recorded = new Set(files.map((name) => name.replace(/\.bin$/, '')));
  expect(FAMILIES.filter(({ name }) => !recorded.has(name))).toEqual([]);
});
