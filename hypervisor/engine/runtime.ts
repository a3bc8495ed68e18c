/** The functions of the generated module that semantics may call. */

import type { CodeMode } from '../x86/builder.js';
import type { Signature } from './wasm-module.js';

export interface InternalFunction {
  readonly index: number;
  readonly signature: Signature;
}

// biome-ignore format: one row per function
export const INTERNAL_SIGNATURES = {
  walk:      { params: ['i64', 'i32', 'i32'],        results: ['i32'] }, // address, ACCESS, 1 = stack → page's host address, 0 = fault
  readSlow:  { params: ['i64', 'i32', 'i32'],        results: ['i32'] }, // address, bytes, 1 = stack → host address, 0 = fault
  writeSlow: { params: ['i64', 'i32', 'i32'],        results: ['i32'] }, // the same; may be the scratch copy that `commit` writes back
  storeSlow: { params: ['i64', 'i64', 'i32', 'i32'], results: ['i32'] }, // address, value, bytes, 1 = stack → 1, 0 = fault
  guard:     { params: ['i64', 'i32', 'i32'],        results: ['i32'] }, // address, bytes, ACCESS → GUARD
  commit:    { params: [],                           results: []      }, // writes the scratch copy back
  fetch:     { params: ['i64'],                      results: ['i32'] }, // fills the execute TLB → FETCH
  flush:     { params: [],                           results: []      }, // forgets all translations
  flushPage: { params: ['i32', 'i32'],               results: []      }, // low and high half of an address
  translate: { params: ['i32', 'i32', 'i32'],        results: ['i32'] }, // halves, ACCESS → host address, 0 = fault
} as const satisfies Readonly<Record<string, Signature>>;

export type InternalName = keyof typeof INTERNAL_SIGNATURES;

export interface Runtime {
  readonly internal: Readonly<Record<InternalName, InternalFunction>>;
  /** For which code the module is. */
  readonly mode: CodeMode;
  /** Indices of the imported host functions. */
  readonly host: ReadonlyMap<string, number>;
}

/** Code that there is a module for. */
export const CODE_MODE = {
  LONG: { bits: 64, isSegmented: false },
  FLAT: { bits: 32, isSegmented: false },
  SEGMENTED: { bits: 32, isSegmented: true },
} as const satisfies Readonly<Record<string, CodeMode>>;

/** Results of `guard`: may the page enter the TLB, must it not, or was a reason to leave recorded? */
export const GUARD = { FILL: 0, KEEP_OUT: 1, LEAVE: 2 } as const;
/** Results of `fetch`. */
export const FETCH = { FAULT: 0, NO_CODE: 1, FILLED: 2 } as const;
