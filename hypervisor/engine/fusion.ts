/**
 * Which pairs of instructions the interpreter runs as one: the pairs that compiled code is full of.
 *
 * A fused case is the two bodies one after the other, so it means the same; it saves a dispatch, and a conditional
 * branch after a comparison becomes one comparison. The second record stays where it is: it can be entered on its
 * own, and a fault in it is precise.
 */

import type { Case, CaseTable } from './cases.js';
import { PSEUDO } from './record.js';

export interface Fusion {
  readonly first: Case;
  readonly second: Case;
  /** first * 65536 + second, by their case numbers. */
  readonly pair: number;
  readonly number: number;
}

/** Operands of a case as one word: r, rr (register or immediate), load, store, loadx, storex (with index), near. */
const SHAPES: Readonly<Record<string, string>> = {
  '': '',
  dst: 'r',
  'dst src': 'rr',
  'dst memory/base': 'load',
  'dst memory/index': 'loadx',
  'memory/base src': 'store',
  'memory/index src': 'storex',
  'memory/base': 'm',
  'target/near': 'near',
};

/** `mov.64.load`: mnemonic, width of the destination, shape. */
function caseName({ definition, operands }: Case): string {
  const mnemonic = definition.codes[0]?.split('_')[0]?.toLowerCase() ?? '';
  const shape = operands.map(({ field, shape: s }) => (s ? `${field}/${s}` : field)).join(' ');
  return [mnemonic, operands[0]?.bits ?? 0, SHAPES[shape] ?? shape].join('.');
}

const words = (text: string): string[] => text.split(/\s+/).filter(Boolean);

/** What compiled code is mostly made of. */
const SIMPLE =
  'mov.64.rr mov.32.rr add.64.rr add.32.rr sub.64.rr xor.32.rr and.32.rr lea.64.load mov.64.load mov.32.load';

/** Every first with every second. */
// biome-ignore format: one row per group
const PAIRS: readonly (readonly [firsts: string, seconds: string])[] = [
  ['cmp.32.rr cmp.64.rr test.32.rr test.64.rr', 'jb.64.near jae.64.near je.64.near jne.64.near jbe.64.near ja.64.near js.64.near jns.64.near jl.64.near jge.64.near jle.64.near jg.64.near'],
  ['cmp.8.rr test.8.rr cmp.32.load cmp.64.load cmp.32.store cmp.64.store cmp.8.store', 'je.64.near jne.64.near jbe.64.near ja.64.near'],
  ['add.32.rr add.64.rr sub.32.rr sub.64.rr dec.32.r dec.64.r inc.32.r inc.64.r', 'je.64.near jne.64.near'],
  ['and.32.rr', 'je.64.near jne.64.near'],
  [SIMPLE, SIMPLE],
  ['mov.64.rr', 'push.64.r call.64.near'],
  ['mov.32.rr lea.64.load xor.32.rr', 'call.64.near'],
  ['push.64.r', 'push.64.r mov.64.rr mov.32.rr sub.64.rr'],
  ['pop.64.r', 'pop.64.r retnq.0.'],
  ['add.64.rr', 'pop.64.r retnq.0.'],
  ['mov.64.rr', 'pop.64.r'],
  ['leaveq.0.', 'retnq.0.'],
  ['mov.64.rr mov.32.rr', 'shl.64.rr shl.32.rr shr.64.rr shr.32.rr rol.32.rr ror.32.rr'],
  ['shl.64.rr shl.32.rr shr.64.rr shr.32.rr rol.32.rr ror.32.rr', 'xor.64.rr xor.32.rr add.64.rr'],
  ['xor.64.rr', 'mov.64.rr'],
  ['mov.64.store mov.32.store', 'mov.64.store mov.32.store mov.64.rr mov.32.rr mov.64.load xor.32.rr call.64.near jmp.64.near'],
  ['mov.64.load mov.32.load lea.64.load mov.64.rr mov.32.rr xor.32.rr', 'mov.64.store mov.32.store'],
  ['mov.64.load mov.32.load lea.64.load mov.64.rr mov.32.rr xor.32.rr pop.64.r', 'jmp.64.near'],
  ['mov.64.load', 'call.64.near'],
  ['mov.8.store mov.8.storex mov.32.store mov.64.store mov.32.storex mov.64.storex', 'add.64.rr'],
  ['mov.32.loadx mov.64.loadx movzx.32.loadx', 'mov.64.rr mov.32.rr add.64.rr'],
  ['movsxd.64.rr', 'mov.64.rr mov.32.rr add.64.rr mov.32.loadx'],
];

const EXISTS_IN_64_BITS_ONLY = 'movsxd';

/** The same instruction in 32-bit code, undefined if it has none. */
function narrowed(name: string): string | undefined {
  const [mnemonic = '', width, shape] = name.split('.');
  if (mnemonic === EXISTS_IN_64_BITS_ONLY) return undefined;
  const isBranch = shape === 'near';
  return [
    mnemonic.replace(/^(retn|leave)q$/, '$1d'),
    isBranch ? width : narrowedWidth(width),
    shape,
  ].join('.');
}

const narrowedWidth = (width: string | undefined): string | undefined =>
  width === '64' ? '32' : width;

/** All pairs of names, each once. */
function pairNames(bits: 64 | 32): (readonly [string, string])[] {
  const pairs = PAIRS.flatMap(([firsts, seconds]) =>
    words(firsts).flatMap((left) => words(seconds).map((right) => [left, right] as const)),
  );
  if (bits === 64) return pairs;
  const seen = new Map<string, readonly [string, string]>();
  for (const pair of pairs) {
    const [left, right] = pair.map(narrowed);
    if (left && right) seen.set(`${left} ${right}`, [left, right]);
  }
  return [...seen.values()];
}

/** The pairs of PAIRS, numbered from `first` on. @param bits 32 for their like in 32-bit code. */
export function findFusions(table: CaseTable, first: number, bits: 64 | 32 = 64): Fusion[] {
  const numbers = new Map(table.hot.map((item, i) => [caseName(item), PSEUDO.COUNT + i] as const));
  const numberOf = (name: string): number => {
    const number = numbers.get(name);
    if (number === undefined) throw new Error(`no case ${name}`);
    return number;
  };
  return pairNames(bits).map(([left, right], i) => {
    const [a, b] = [numberOf(left), numberOf(right)];
    const [one, two] = [table.hot[a - PSEUDO.COUNT], table.hot[b - PSEUDO.COUNT]];
    if (!one || !two) throw new Error(`no case ${left} or ${right}`);
    return { first: one, second: two, pair: a * 65536 + b, number: first + i };
  });
}
