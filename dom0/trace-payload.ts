/** What lies behind the pointer of a hypercall, as fields with names: structs, several of them, text, calls of a multicall. */

import { errnoName } from '../hypervisor/public/errno.js';
import { grantStatusName } from '../hypervisor/public/grant-table.js';
import { CHAR, HYPERCALLS, hypercallName, type Payload } from '../hypervisor/public/hypercalls.js';
import { DOMID, MMU, MMUEXT, multicallEntry } from '../hypervisor/public/xen.js';
import type { TraceRecord } from './trace-view.js';

export type Fields = Record<string, string>;

export const hex = (value: bigint | number): string =>
  `0x${BigInt.asUintN(64, BigInt(value)).toString(16)}`;
const snake = (name: string): string => name.replaceAll(/[A-Z]/g, (c) => `_${c.toLowerCase()}`);
const keyOf = <T extends Record<string, number>>(names: T, value: number): string | undefined =>
  Object.entries(names).find(([, number]) => number === value)?.[0];

const DOMID_NAMES: Readonly<Record<number, string>> = {
  [DOMID.SELF]: 'SELF',
  [DOMID.IO]: 'IO',
  [DOMID.XEN]: 'XEN',
  [DOMID.COW]: 'COW',
  [DOMID.INVALID]: 'INVALID',
};
export const domidName = (value: number): string => DOMID_NAMES[value] ?? `${value}`;

/** Fields that are addresses, machine frames or masks whatever struct they are in. */
const HEX_FIELDS = new Set(
  'hostAddr devBusAddr newAddr frameList ports addr address extentStart ptr val arg1 arg2 mfn flags submap buffer vStart vEnd maxMfn virtStart controlGfn arrayGfn gpfn memFlags bitmap'.split(
    ' ',
  ),
);

function fieldText(struct: string, name: string, value: number | bigint): string {
  if (/^(dom|remoteDom|domid|domainId|sourceDomid|destDomid)$/.test(name))
    return domidName(Number(value));
  if (name === 'status' && struct.startsWith('gnttab')) return grantStatusName(Number(value));
  if (struct === 'mmuext_op' && name === 'cmd') return keyOf(MMUEXT, Number(value)) ?? `${value}`;
  if (struct === 'mmu_update' && name === 'ptr') return mmuPointer(BigInt(value));
  return HEX_FIELDS.has(name) ? hex(value) : `${value}`;
}

/** The command hides in the two low bits. */
function mmuPointer(ptr: bigint): string {
  const command = keyOf(MMU, Number(ptr & 3n)) ?? '';
  return `${hex(ptr & ~3n)}/${command}`;
}

/** One struct behind the pointer: as the guest passed it, and what the call has filled in. */
export interface Entry {
  readonly input: Fields;
  readonly output: Fields;
}

/** The structs behind a call's pointer, as far as they were kept. */
export function decodeEntries(payload: Payload | undefined, record: TraceRecord): Entry[] {
  if (!payload) return [];
  const { struct } = payload;
  if (struct.name === CHAR) {
    const [input, output] = [textOf(record.input), textOf(record.output)];
    return input === output && input === undefined
      ? []
      : [{ input: named(input), output: named(output) }];
  }
  const { size } = struct;
  const kept = Math.floor(Math.max(record.input.length, record.output.length) / size);
  const entries: Entry[] = [];
  for (let n = 0; n < kept; n++) {
    const input = fieldsAt(payload, payload.input, record.input, n * size);
    const output = fieldsAt(payload, payload.output, record.output, n * size);
    if (payload.repeat === 'zero' && isZero(record.input, n * size, size)) break;
    entries.push({ input, output });
  }
  return entries;
}

const named = (text: string | undefined): Fields => (text === undefined ? {} : { text });

const decoder = new TextDecoder();

/** Text in quotes, up to the first NUL. */
function textOf(bytes: Uint8Array): string | undefined {
  if (bytes.length === 0) return undefined;
  const end = bytes.indexOf(0);
  return JSON.stringify(decoder.decode(end < 0 ? bytes : bytes.subarray(0, end)));
}

const isZero = (bytes: Uint8Array, at: number, size: number): boolean =>
  bytes.subarray(at, at + size).every((byte) => byte === 0);

/** The named fields of the struct at byte `at`; none if it was cut off. */
function fieldsAt(
  { struct }: Payload,
  names: readonly string[],
  bytes: Uint8Array,
  at: number,
): Fields {
  if (names.length === 0 || at + struct.size > bytes.length) return {};
  const values = struct.decode(new DataView(bytes.buffer, bytes.byteOffset, bytes.length), at);
  if (struct.name === multicallEntry.name) return callFields(values, names.includes('op'));
  const fields: Fields = {};
  for (const name of names) {
    const value = values[name];
    if (value !== undefined) fields[snake(name)] = fieldText(struct.name, name, value);
  }
  return fields;
}

/** One call of a multicall: what was asked, or what it gave. */
function callFields(values: Readonly<Record<string, number | bigint>>, isInput: boolean): Fields {
  if (!isInput) {
    const result = Number(values['result']);
    return { result: result < 0 ? `-${errnoName(result) ?? -result}` : `${result}` };
  }
  const number = Number(values['op']);
  const shown = HYPERCALLS[number]?.args ?? [];
  const args = shown.map((_, n) => hex(values[`arg${n}`] ?? 0));
  return { call: `${hypercallName(number)}(${args.join(', ')})` };
}

export function braces(fields: Fields): string {
  const inner = Object.entries(fields);
  const [only] = inner;
  if (inner.length === 1 && (only?.[0] === 'text' || only?.[0] === 'call')) return only[1];
  return inner.length === 0
    ? ''
    : `{${inner.map(([name, value]) => `${name}=${value}`).join(', ')}}`;
}

/** Entries shown on one line. */
const SHOWN = 8;

/** All entries on one line: `{a=1}`, or `[{a=1}, {a=2}, … 30 more]`. */
export function entriesText(entries: readonly Fields[], total: number): string {
  const texts = entries.map(braces).filter((text) => text !== '');
  if (total <= 1 || texts.length === 0) return texts[0] ?? '';
  const shown = texts.slice(0, SHOWN);
  if (total > shown.length) shown.push(`… ${total - shown.length} more`);
  return `[${shown.join(', ')}]`;
}
