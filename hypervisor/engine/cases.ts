/**
 * The cases of the interpreter: every definition in every shape its operands can take.
 *
 * A source that is a register or an immediate is one shape: the record holds the address of either.
 */

import { Code } from 'iced-x86';
import type { Definition } from '../x86/define.js';
import { type OperandKind, operandKinds } from '../x86/operand-kinds.js';
import {
  type Field,
  type MemoryShape,
  PLAIN,
  type PlacedOperand,
  type StringForm,
  type TargetShape,
} from './operands.js';

export interface Case {
  readonly definition: Definition;
  readonly operands: readonly PlacedOperand[];
  readonly form: StringForm;
  /** Inlined in the interpreter's loop; otherwise a function of its own. */
  readonly hot: boolean;
}

/** Number of the first case that is a function of its own; below are the cases of the interpreter's switch. */
export const FIRST_COLD = 4096;

/** Shapes a code can take, as an index into the cases of the code. */
// biome-ignore format: one row
export const SHAPE = { REGISTER: 0, BASE: 1, INDEX: 2, FULL: 3, NEAR: 0, CROSS: 1 } as const;
/** String instructions: REPEAT * 2 + 1 if addresses have half the width. */
const STRING_FORMS: readonly StringForm[] = [
  { repeat: 'none', narrow: false },
  { repeat: 'none', narrow: true },
  { repeat: 'rep', narrow: false },
  { repeat: 'rep', narrow: true },
  { repeat: 'repne', narrow: false },
  { repeat: 'repne', narrow: true },
];

/** What a code may decode to. `cases` holds case numbers by SHAPE (or string form). */
export interface CodeEntry {
  readonly definition: Definition;
  readonly kinds: readonly OperandKind[];
  readonly isString: boolean;
  readonly cases: readonly number[];
}

export interface CaseTable {
  /** Case numbers count from here: pseudo-records come before. */
  readonly hot: readonly Case[];
  readonly cold: readonly Case[];
  /** By iced-x86 code; undefined = not an instruction of this processor. */
  readonly codes: readonly (CodeEntry | undefined)[];
}

const MEMORY_SHAPES: readonly MemoryShape[] = ['base', 'index', 'full'];

/** @param first number of the first hot case. @param mayInline false to have functions only. */
export function buildCases(
  definitions: readonly Definition[],
  first: number,
  mayInline = true,
): CaseTable {
  const hot = new Map<string, Case>();
  const cold = new Map<string, Case>();
  const codes: { code: number; entry: Omit<CodeEntry, 'cases'>; keys: string[] }[] = [];
  const place = (item: Case): string => {
    const key = `${item.definition.id} ${JSON.stringify([item.operands, item.form])}`;
    const table = item.hot ? hot : cold;
    if (!table.has(key)) table.set(key, item);
    return key;
  };
  for (const definition of definitions) {
    for (const name of definition.codes) {
      const code = Code[name];
      const kinds = operandKinds(code);
      const isString = kinds.some(({ kind }) => kind.startsWith('string'));
      const cases = isString
        ? stringCases(definition, kinds)
        : plainCases(definition, kinds, mayInline);
      codes.push({ code, entry: { definition, kinds, isString }, keys: cases.map(place) });
    }
  }
  const hotNumbers = numbered(hot, first);
  const coldNumbers = numbered(cold, FIRST_COLD);
  const byCode: (CodeEntry | undefined)[] = [];
  for (const { code, entry, keys } of codes) {
    const cases = keys.map((key) => hotNumbers.get(key) ?? coldNumbers.get(key) ?? 0);
    byCode[code] = { ...entry, cases };
  }
  return { hot: [...hot.values()], cold: [...cold.values()], codes: byCode };
}

const numbered = (table: ReadonlyMap<string, Case>, first: number): Map<string, number> =>
  new Map([...table.keys()].map((key, i) => [key, first + i]));

function stringCases(definition: Definition, kinds: readonly OperandKind[]): Case[] {
  const operands = placeOperands(kinds, 'full', 'near');
  return STRING_FORMS.map((form) => ({ definition, operands, form, hot: false }));
}

function plainCases(
  definition: Definition,
  kinds: readonly OperandKind[],
  mayInline: boolean,
): Case[] {
  const make = (memory: MemoryShape | undefined, target: TargetShape, isHot: boolean): Case => {
    const operands = placeOperands(kinds, memory, target);
    return { definition, operands, form: PLAIN, hot: isHot };
  };
  const hot = mayInline && isHot(definition, kinds);
  if (kinds.some(({ kind }) => kind === 'target')) {
    return [make(undefined, 'near', hot), make(undefined, 'cross', hot)];
  }
  const cases: Case[] = [];
  const mustBeMemory = kinds.some(({ kind }) => kind === 'memory' || kind === 'absolute');
  if (!mustBeMemory) cases[SHAPE.REGISTER] = make(undefined, 'near', hot);
  else cases[SHAPE.REGISTER] = make('full', 'near', false);
  if (mustBeMemory || kinds.some(({ kind }) => kind === 'either')) {
    MEMORY_SHAPES.forEach((shape, i) => {
      const inlined = hot && shape !== 'full' && !definition.options.coldMemory;
      cases[SHAPE.BASE + i] = make(inlined ? shape : 'full', 'near', inlined);
    });
  }
  return cases;
}

function isHot(definition: Definition, kinds: readonly OperandKind[]): boolean {
  const size = kinds[0]?.bits ?? 0;
  return definition.options.hot?.includes(size) ?? false;
}

/** Assigns operands to the fields of a record. @param memory shape of the memory operand, undefined if it is a register. */
function placeOperands(
  kinds: readonly OperandKind[],
  memory: MemoryShape | undefined,
  target: TargetShape,
): PlacedOperand[] {
  const placed: PlacedOperand[] = [];
  const free = new Set<Field>(['dst', 'src', 'imm']);
  const scatters = kinds[0]?.kind === 'string-source' && kinds.length === 3;
  kinds.forEach((operand, i) => {
    const placedOperand = placeOperand(operand, i, { memory, target, free, scatters });
    if (placedOperand) placed.push(placedOperand);
  });
  return placed;
}

interface Placement {
  readonly memory: MemoryShape | undefined;
  readonly target: TargetShape;
  readonly free: Set<Field>;
  readonly scatters: boolean;
}

function placeOperand(
  operand: OperandKind,
  i: number,
  placement: Placement,
): PlacedOperand | undefined {
  const { memory, target, free, scatters } = placement;
  const { kind, bits, memoryBits } = operand;
  switch (kind) {
    case 'implied':
    case 'string-target':
      return undefined;
    case 'target':
      return { kind: 'target', bits, field: 'target', shape: target };
    case 'string-source':
      return { kind: 'memory', bits: memoryBits, field: 'memory', shape: 'full' };
    case 'absolute':
      return { kind: 'memory', bits: memoryBits, field: 'memory', shape: 'absolute' };
    case 'memory':
      return { kind: 'memory', bits: memoryBits, field: 'memory', shape: memory ?? 'full' };
    case 'immediate':
    case 'distance':
    case 'far-pointer':
    case 'stack-index':
      // as the second operand an immediate looks like a register
      if (i === 1 && free.delete('src'))
        return { kind: 'register', bits, field: 'src', shape: undefined };
      return { kind: 'immediate', bits, field: 'imm', shape: undefined };
    default:
      if (kind === 'either' && memory)
        return { kind: 'memory', bits: memoryBits, field: 'memory', shape: memory };
      // the third operand of MASKMOVDQU takes the field that its first, which is memory, has left free
      return placeRegister(bits, scatters && i === 2 ? 0 : i, free);
  }
}

/** @returns undefined for a third register: it is a fixed one (CL), which the semantics name themselves. */
function placeRegister(bits: number, i: number, free: Set<Field>): PlacedOperand | undefined {
  const field: Field = i === 0 ? 'dst' : 'src';
  return free.delete(field) ? { kind: 'register', bits, field, shape: undefined } : undefined;
}
