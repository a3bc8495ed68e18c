/** Recorded outcomes of a real processor, replayed: needs neither a compiler nor an x86-64. */

import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { check } from './check.js';
import { inCompatibilityMode } from './compat.js';
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

/** One in so many is run with segments as well. */
const SEGMENTED_SHARE = 4;
/** What 32-bit code has no same bytes for, or very few: stack and far addresses differ. */
const WIDE_ONLY = /^programs-|^stack/;

describe('and so in compatibility mode, where the bytes mean the same', () => {
  const flat = new Interpreter('flat');
  const segmented = new Interpreter('segmented');

  test.each(files.filter((name) => !WIDE_ONLY.test(name)))('%s', (name) => {
    const vectors = inCompatibilityMode(decodeVectors(readFileSync(new URL(name, VECTORS))));
    const { cases, differing, text } = check(flat, vectors);
    const some = vectors.filter((_, n) => n % SEGMENTED_SHARE === 0);
    const { differing: differingToo, text: textToo } = check(segmented, some);
    expect(differingToo.length, textToo).toBe(0);
    expect(cases).toBeGreaterThan(0);
    expect(differing.length, text).toBe(0);
  });
});

test('every family has its recorded cases', () => {
  const recorded = new Set(files.map((name) => name.replace(/\.bin$/, '')));
  expect(FAMILIES.filter(({ name }) => !recorded.has(name))).toEqual([]);
});
