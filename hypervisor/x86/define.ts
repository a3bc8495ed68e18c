/** How instructions are defined: rows of iced-x86 codes, and one body of semantics for them. */

import { Code, CodeExt } from 'iced-x86';
import type { Semantics } from './builder.js';

/** A form of an instruction, as iced-x86 names it: `Add_rm8_r8`. */
export type CodeName = keyof typeof Code;

export interface Options {
  /** Widths of the first operand for which the form is inlined in the interpreter's loop; others are called. */
  readonly hot?: readonly number[];
  /** Only the register form of a hot instruction is inlined: with memory it is too rare. */
  readonly coldMemory?: true;
  /** The instruction may branch or repeat: a block is accounted up to it. */
  readonly ends?: true;
  /** Nothing after it in the instruction stream is reached by falling through: decoding stops. */
  readonly last?: true;
}

/** One `define`: the unit from which interpreter cases are made. */
export interface Definition {
  readonly id: number;
  readonly codes: readonly CodeName[];
  readonly body: Semantics;
  readonly options: Options;
}

export type Define = (codes: readonly string[], body: Semantics, options?: Options) => void;

/** A file of definitions. */
export type Family = (define: Define) => void;

/** Names of forms that differ only in their operands: `forms('Add', 'rm8_r8 r8_rm8')`. */
export const forms = (mnemonic: string, operands: string): string[] =>
  operands.split(' ').map((form) => `${mnemonic}_${form}`);

/**
 * All definitions of some families, with the forms that exist in code of a width.
 * @throws if a name is none of iced-x86's, or is defined twice: a mistake in the tables.
 */
export function collect(families: readonly Family[], bits: 64 | 32 = 64): Definition[] {
  const definitions: Definition[] = [];
  const seen = new Set<string>();
  const define: Define = (codes, body, options = {}) => {
    for (const name of codes) {
      if (!(name in Code)) throw new Error(`no such instruction form: ${name}`);
      if (seen.has(name)) throw new Error(`defined twice: ${name}`);
      seen.add(name);
    }
    const existing = (codes as CodeName[]).filter((name) => existsIn(Code[name], bits));
    if (existing.length === 0) return;
    definitions.push({ id: definitions.length, codes: existing, body, options });
  };
  for (const family of families) family(define);
  return definitions;
}

function existsIn(code: Code, bits: number): boolean {
  const info = CodeExt.opCode(code);
  const exists = info.isAvailableInMode(bits);
  info.free();
  return exists;
}
