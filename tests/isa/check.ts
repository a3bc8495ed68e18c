/** Runs cases on the interpreter and reports the first that differ from what is expected. */

import { compare, describe } from './compare.js';
import type { Case, Outcome } from './format.js';
import type { Interpreter } from './interpreter.js';

const SHOWN = 5;
const PAGE_FAULT = 14;
const UPPER_HALF = 1n << 47n;

export interface Report {
  readonly cases: number;
  readonly differing: readonly Case[];
  /** The first few differences, readably. */
  readonly text: string;
}

/** Outcomes that tell of the host's kernel: faults in its half of the address space. */
export const isHostSpecific = ({ vector, cr2 }: Outcome): boolean =>
  vector === PAGE_FAULT && cr2 >= UPPER_HALF;

function differencesOf(interpreter: Interpreter, test: Case, expected: Outcome): string[] {
  try {
    return compare(test, expected, interpreter.run(test));
  } catch (error) {
    return [String(error)];
  }
}

export function check(
  interpreter: Interpreter,
  vectors: Iterable<{ readonly test: Case; readonly outcome: Outcome }>,
): Report {
  const shown: string[] = [];
  let cases = 0;
  const differing: Case[] = [];
  for (const { test, outcome } of vectors) {
    if (isHostSpecific(outcome)) continue;
    cases++;
    const differences = differencesOf(interpreter, test, outcome);
    if (differences.length === 0) continue;
    differing.push(test);
    if (differing.length <= SHOWN) shown.push(describe(test, differences));
  }
  return { cases, differing, text: shown.join('\n') };
}
