/** Compares an outcome with the one expected, and says readably where they differ. */

import { Decoder, DecoderOptions, Formatter, FormatterSyntax } from 'iced-x86';
import {
  type Case,
  DATA,
  DATA_BACKGROUND,
  FX_OFFSET,
  MXCSR_OFFSET,
  type Outcome,
  RFLAGS_OFFSET,
  RIP_OFFSET,
  ST_OFFSET,
  STATE_AREA,
  STOPPED,
  TOLERANCE,
  XMM_OFFSET,
} from './format.js';
import { applyRuns } from './vectors.js';

const GPR_NAMES = 'rax rcx rdx rbx rsp rbp rsi rdi r8 r9 r10 r11 r12 r13 r14 r15'.split(' ');

interface Field {
  readonly name: string;
  readonly offset: number;
  readonly bytes: number;
}

const rows = (names: readonly string[], offset: number, bytes: number, step: number): Field[] =>
  names.map((name, n) => ({ name, offset: offset + n * step, bytes }));
const numbered = (stem: string, count: number) => Array.from({ length: count }, (_, n) => stem + n);

const FIELDS: readonly Field[] = [
  ...rows(GPR_NAMES, 0, 8, 8),
  { name: 'rip', offset: RIP_OFFSET, bytes: 8 },
  { name: 'rflags', offset: RFLAGS_OFFSET, bytes: 4 },
  { name: 'fcw', offset: FX_OFFSET, bytes: 2 },
  { name: 'fsw', offset: FX_OFFSET + 2, bytes: 2 },
  { name: 'ftw', offset: FX_OFFSET + 4, bytes: 1 },
  { name: 'mxcsr', offset: MXCSR_OFFSET, bytes: 4 },
  ...rows(numbered('st', 8), ST_OFFSET, 10, 16),
  ...rows(numbered('xmm', 16), XMM_OFFSET, 16, 16),
];

const hex = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0'))
    .reverse()
    .join('');
const slice = (state: Uint8Array, field: Field): string =>
  hex(state.subarray(field.offset, field.offset + field.bytes));

/** Bytes of an image in memory that processors fill in as they like (SDM 1 §8.1.8, §10.5.1). */
// biome-ignore format: one row per image
const IGNORED_IN_AREA = new Map<number, readonly (readonly [from: number, to: number])[]>([
  [TOLERANCE.FX_AREA,            [[5, 24], [28, 32], [416, 512], ...numbered('', 8).map((_, n) => [42 + n * 16, 48 + n * 16] as const)]],
  [TOLERANCE.X87_ENVIRONMENT_32, [[2, 4], [6, 8], [10, 28]]],
  [TOLERANCE.X87_ENVIRONMENT_16, [[6, 14]]],
]);

function blank(data: Uint8Array, tolerance: number): Uint8Array {
  for (const [from, to] of IGNORED_IN_AREA.get(tolerance) ?? [])
    data.fill(0, STATE_AREA - DATA + from, STATE_AREA - DATA + to);
  return data;
}

const RECIPROCAL_ERROR = 1.5 * 2 ** -12;

/** Both approximations of one value: equal, or within the promised error of it and so within twice of each other. */
function closeFloat32(expected: Uint8Array, got: Uint8Array): boolean {
  const a = new DataView(expected.buffer, expected.byteOffset);
  const b = new DataView(got.buffer, got.byteOffset);
  return [0, 4, 8, 12].every((at) => {
    if (a.getUint32(at, true) === b.getUint32(at, true)) return true;
    const [x, y] = [a.getFloat32(at, true), b.getFloat32(at, true)];
    return Math.abs(x - y) <= 2 * RECIPROCAL_ERROR * Math.abs(x);
  });
}

/** Of 80-bit numbers: their place in the order of all numbers, a unit in the last place apart; undefined for NaN. */
function orderFloat80(state: Uint8Array, at: number): bigint | undefined {
  const view = new DataView(state.buffer, state.byteOffset);
  const signExponent = view.getUint16(at + 8, true);
  const significand = view.getBigUint64(at, true);
  const exponent = signExponent & 0x7fff;
  if (exponent === 0x7fff && significand !== 1n << 63n) return undefined;
  const magnitude = (BigInt(exponent) << 63n) + (significand & ((1n << 63n) - 1n));
  return signExponent & 0x8000 ? -magnitude : magnitude;
}

/** Units in the last place by which two processors' transcendental functions may differ: each is good to one (SDM 1 §8.3.10). */
const TRANSCENDENTAL_ULPS = 2n;

function closeFloat80(expected: Uint8Array, got: Uint8Array, at: number): boolean {
  const [x, y] = [orderFloat80(expected, at), orderFloat80(got, at)];
  if (x === undefined || y === undefined) return false;
  return (x < y ? y - x : x - y) <= TRANSCENDENTAL_ULPS;
}

function equalField(test: Case, field: Field, expected: Uint8Array, got: Uint8Array): boolean {
  if (slice(expected, field) === slice(got, field)) return true;
  if (test.tolerance === TOLERANCE.RECIPROCAL && field.name.startsWith('xmm')) {
    const part = (state: Uint8Array) => state.subarray(field.offset, field.offset + 16);
    return closeFloat32(part(expected), part(got));
  }
  if (field.name === 'fsw') return (fswDifference(expected, got) & ~ignoredStatus(test)) === 0;
  if (test.tolerance !== TOLERANCE.TRANSCENDENTAL || !field.name.startsWith('st')) return false;
  return closeFloat80(expected, got, field.offset);
}

/** C1 may tell the rounding direction, and PE, UE and DE the exactness, of an approximation. */
const ignoredStatus = ({ tolerance }: Case): number =>
  tolerance === TOLERANCE.TRANSCENDENTAL ? 0x0232 : tolerance === TOLERANCE.C1 ? 0x0200 : 0;
const fswDifference = (a: Uint8Array, b: Uint8Array): number =>
  (a[FX_OFFSET + 2]! ^ b[FX_OFFSET + 2]!) | ((a[FX_OFFSET + 3]! ^ b[FX_OFFSET + 3]!) << 8);

function flagsDiffer(test: Case, expected: Uint8Array, got: Uint8Array): boolean {
  const at = RFLAGS_OFFSET;
  const a = new DataView(expected.buffer, expected.byteOffset).getUint32(at, true);
  const b = new DataView(got.buffer, got.byteOffset).getUint32(at, true);
  return ((a ^ b) & ~test.undefinedFlags) !== 0;
}

function differingMemory(test: Case, expected: Outcome, got: Outcome): string[] {
  const image = (outcome: Outcome) =>
    blank(applyRuns(DATA_BACKGROUND, outcome.memory), test.tolerance);
  const [a, b] = [image(expected), image(got)];
  if (Buffer.compare(a, b) === 0) return [];
  const differing: string[] = [];
  for (let at = 0; at < a.length; at += 8) {
    const [x, y] = [hex(a.subarray(at, at + 8)), hex(b.subarray(at, at + 8))];
    if (x !== y) differing.push(`memory ${(DATA + at).toString(16)}: expected ${x}, got ${y}`);
  }
  return differing;
}

const describeEnd = (outcome: Outcome) =>
  outcome.vector === STOPPED
    ? 'ran'
    : `vector ${outcome.vector}, error ${outcome.errorCode.toString(16)}, cr2 ${outcome.cr2.toString(16)}`;

/** @returns one line per difference, none if the outcomes agree. */
export function compare(test: Case, expected: Outcome, got: Outcome): string[] {
  if (describeEnd(expected) !== describeEnd(got))
    return [`expected ${describeEnd(expected)}; got ${describeEnd(got)}`];
  const lines: string[] = [];
  if (Buffer.compare(expected.state, got.state) !== 0)
    for (const field of FIELDS) {
      const differs =
        field.name === 'rflags'
          ? flagsDiffer(test, expected.state, got.state)
          : !equalField(test, field, expected.state, got.state);
      if (differs)
        lines.push(
          `${field.name}: expected ${slice(expected.state, field)}, got ${slice(got.state, field)}`,
        );
    }
  lines.push(...differingMemory(test, expected, got));
  return lines;
}

/** The instructions of a case, as text. */
export function disassemble(test: Case): string {
  const rip = new DataView(test.state.buffer, test.state.byteOffset).getBigUint64(RIP_OFFSET, true);
  const decoder = new Decoder(64, test.code, DecoderOptions.None);
  const formatter = new Formatter(FormatterSyntax.Intel);
  decoder.ip = rip;
  const lines: string[] = [];
  while (decoder.canDecode) lines.push(formatter.format(decoder.decode()));
  decoder.free();
  formatter.free();
  return `${lines.join('; ')} [${Buffer.from(test.code).toString('hex')}]`;
}

/** Registers worth showing: those the text names (in any width) or a difference is about, and the control words. */
function isRelevant(name: string, text: string): boolean {
  const stem = name.replace(/^r(?=[a-ds])/, '').replace(/x$/, '');
  if (/^(rflags|fcw|fsw|ftw|mxcsr|rip)$/.test(name)) return name !== 'rip';
  return new RegExp(`\\b[er]?${stem}(x|h|l|w|d|b)?\\b`).test(text);
}

/** What was executed on what, and where the result differs. */
export function describe(test: Case, differences: readonly string[]): string {
  const text = `${disassemble(test)}\n    ${differences.join('\n    ')}`;
  const isX87 = /^f|wait/.test(text);
  const inputs = FIELDS.filter(
    ({ name }) => isRelevant(name, text) || (isX87 && name.startsWith('st')),
  );
  const input = inputs.map((field) => `${field.name}=${slice(test.state, field)}`).join(' ');
  return `${text}\n    in: ${input}`;
}
