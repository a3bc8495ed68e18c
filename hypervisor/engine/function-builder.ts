/**
 * Emits the body of one WebAssembly function. Each value lives in a local of its own; locals are taken from a
 * pool that `release` empties (V8's SSA form removes the copies). Nothing here knows x86.
 */

import type { Type, Value, Variable } from '../x86/builder.js';
import { OPS, type Op } from '../x86/ops.js';
import { ByteWriter } from './byte-writer.js';
import { type BranchHint, type FunctionBody, type Signature, TYPE_CODE } from './wasm-module.js';
import { LETTER, LOADS, NATURAL_BYTES, NO_RESULT, OPCODE, STORES } from './wasm-opcodes.js';

/** A value that lives in a local, or is a constant. */
export interface Held extends Value {
  readonly local: number;
  readonly constant?: number | bigint;
}

/** A place to branch to: the nesting depth of its block. */
export type Label = number;

export type Pool = Readonly<Record<Type, number>>;
/** How many locals of each type there are: plenty, or few where thousands of cases meet (each costs V8 a phi). */
// biome-ignore format: one row per pool
export const POOL = {
  LARGE: { i32: 512, i64: 512, f32: 64, f64: 64, v128: 256 } as Pool,
  SMALL: { i32: 64,  i64: 64,  f32: 8,  f64: 16, v128: 24 } as Pool,
} as const;
const POOL_ORDER: readonly Type[] = ['i32', 'i64', 'f32', 'f64', 'v128'];

export class FunctionBuilder {
  readonly out: ByteWriter;
  readonly #signature: Signature;
  readonly #pool: Pool;
  readonly #fixed: Type[];
  readonly #first: Record<Type, number>;
  readonly #used: Record<Type, number> = { i32: 0, i64: 0, f32: 0, f64: 0, v128: 0 };
  readonly #hints: BranchHint[] = [];
  #depth = 0;

  /** @param fixed types of the locals, after the parameters, that are not in the pool: see `fixed`. */
  constructor(signature: Signature, fixed: readonly Type[] = [], pool: Pool = POOL.LARGE) {
    this.#pool = pool;
    this.out = new ByteWriter(4096);
    this.#signature = signature;
    this.#fixed = [...fixed];
    let next = signature.params.length + fixed.length;
    const first: Partial<Record<Type, number>> = {};
    for (const type of POOL_ORDER) {
      first[type] = next;
      next += pool[type];
    }
    this.#first = first as Record<Type, number>;
    this.#writeLocals();
  }

  /** Parameter or fixed local `index`, as a variable. */
  fixed(index: number): Variable & Held {
    const type =
      this.#signature.params[index] ?? this.#fixed[index - this.#signature.params.length];
    if (!type) throw new Error(`no local ${index}`);
    return { type, bits: NATURAL_BYTES[type] * 8, local: index, variable: true };
  }

  /** Gives all pool locals back: values made before must not be used any more. */
  release(): void {
    for (const type of POOL_ORDER) this.#used[type] = 0;
  }

  /** The finished body. */
  body(): FunctionBody {
    if (this.#depth !== 0) throw new Error('a block was left open');
    this.out.u8(OPCODE.end);
    const hints = this.#hints.sort((a, b) => a.offset - b.offset);
    return { bytes: this.out.view(), hints };
  }

  // ---- values
  const(bits: number, value: number | bigint): Held {
    const type = bits === 64 ? 'i64' : 'i32';
    return { type, bits, local: -1, constant: value };
  }

  f32(value: number): Held {
    return { type: 'f32', bits: 32, local: -1, constant: value };
  }

  f64(value: number): Held {
    return { type: 'f64', bits: 64, local: -1, constant: value };
  }

  v128(bytes: readonly number[]): Value {
    this.out.u8(OPCODE.simd);
    this.out.u32(OPCODE.v128Const);
    this.out.bytes(Uint8Array.from(bytes));
    return this.take('v128', 128);
  }

  op(name: Op, ...operands: readonly (Value | number)[]): Value {
    const [prefix, opcode, signature] = OPS[name];
    const [params = '', result = ''] = signature.split(':');
    if (operands.length !== params.length) throw new Error(`${name}: ${operands.length} operands`);
    const lanes: number[] = [];
    operands.forEach((operand, i) => {
      const letter = params[i] ?? '';
      if (typeof operand === 'number') {
        if (letter !== '#') throw new Error(`${name}: operand ${i} is a number`);
        lanes.push(operand);
      } else {
        if (operand.type !== LETTER[letter])
          throw new Error(`${name}: operand ${i} ${operand.type}`);
        this.push(operand);
      }
    });
    if (prefix) {
      this.out.u8(prefix);
      this.out.u32(opcode);
    } else this.out.u8(opcode);
    for (const lane of lanes) this.out.u8(lane);
    const type = LETTER[result] ?? 'i32';
    return this.take(type, NATURAL_BYTES[type] * 8);
  }

  shuffle(left: Value, right: Value, lanes: readonly number[]): Value {
    this.push(left);
    this.push(right);
    this.out.u8(OPCODE.simd);
    this.out.u32(OPCODE.shuffle);
    this.out.bytes(Uint8Array.from(lanes));
    return this.take('v128', 128);
  }

  select(condition: Value, yes: Value, no: Value): Value {
    if (yes.type === 'v128') {
      const mask = this.op('i32x4.splat', this.op('i32.sub', this.const(32, 0), condition));
      return this.op('v128.bitselect', yes, no, mask);
    }
    this.push(yes);
    this.push(no);
    this.push(condition);
    this.out.u8(OPCODE.select);
    return this.take(yes.type, yes.bits);
  }

  variable(initial: Value): Variable & Held {
    this.push(initial);
    return { ...this.take(initial.type, initial.bits), variable: true };
  }

  assign(variable: Value, value: Value): void {
    if (variable.type !== value.type) throw new Error(`${variable.type} assigned ${value.type}`);
    this.push(value);
    this.out.u8(OPCODE.localSet);
    this.out.u32((variable as Held).local);
  }

  // ---- memory of the host
  hostLoad(
    host: Value,
    type: Type,
    bytes = NATURAL_BYTES[type],
    offset = 0,
    signed = false,
  ): Value {
    this.push(host);
    this.#access(LOADS, `${type}_${bytes}${signed ? 's' : ''}`, offset);
    return this.take(type, type === 'i32' && !signed ? bytes * 8 : NATURAL_BYTES[type] * 8);
  }

  hostStore(host: Value, value: Value, bytes = value.bits / 8, offset = 0): void {
    this.push(host);
    this.push(value);
    this.#access(STORES, `${value.type}_${bytes}`, offset);
  }

  memoryCopy(to: Value, from: Value, bytes: Value): void {
    for (const value of [to, from, bytes]) this.push(value);
    this.out.u8(OPCODE.memory);
    this.out.u32(OPCODE.memoryCopy);
    this.out.u8(0);
    this.out.u8(0);
  }

  memoryFill(to: Value, byte: Value, bytes: Value): void {
    for (const value of [to, byte, bytes]) this.push(value);
    this.out.u8(OPCODE.memory);
    this.out.u32(OPCODE.memoryFill);
    this.out.u8(0);
  }

  /** All that was stored before is seen by other threads before anything that follows is loaded. */
  fence(): void {
    this.out.u8(OPCODE.atomic);
    this.out.u32(OPCODE.atomicFence);
    this.out.u8(0);
  }

  // ---- calls
  callIndex(index: number, signature: Signature, args: readonly Value[]): Value {
    args.forEach((arg, i) => {
      if (arg.type !== signature.params[i]) throw new Error(`call ${index}: argument ${i}`);
      this.push(arg);
    });
    if (args.length !== signature.params.length) throw new Error(`call ${index}: arguments`);
    this.out.u8(OPCODE.call);
    this.out.u32(index);
    return this.#result(signature);
  }

  callIndirect(typeIndex: number, signature: Signature, args: readonly Value[], at: Value): Value {
    for (const arg of args) this.push(arg);
    this.push(at);
    this.out.u8(OPCODE.callIndirect);
    this.out.u32(typeIndex);
    this.out.u8(0);
    return this.#result(signature);
  }

  // ---- control
  /** @param likely a hint, false for a slow path; asked when both bodies are emitted. */
  if(
    condition: Value,
    then: () => void,
    otherwise?: () => void,
    likely?: boolean | (() => boolean | undefined),
  ): void {
    this.push(condition);
    const offset = this.out.length;
    this.#open(OPCODE.if);
    then();
    if (otherwise) {
      this.out.u8(OPCODE.else);
      otherwise();
    }
    this.#close();
    this.#hint(offset, typeof likely === 'function' ? likely() : likely);
  }

  loop(body: (again: () => void) => void): void {
    const label = this.#open(OPCODE.loop);
    body(() => this.br(label));
    this.#close();
  }

  block(body: (leave: () => void) => void): void {
    const label = this.#open(OPCODE.block);
    body(() => this.br(label));
    this.#close();
  }

  /** As `block`, with a label that can be kept. */
  labelled(kind: 'block' | 'loop', body: (label: Label) => void): void {
    const label = this.#open(OPCODE[kind]);
    body(label);
    this.#close();
  }

  br(label: Label): void {
    this.out.u8(OPCODE.br);
    this.out.u32(this.#depth - label);
  }

  brIf(label: Label, condition: Value, likely?: boolean): void {
    this.push(condition);
    this.#hint(this.out.length, likely);
    this.out.u8(OPCODE.brIf);
    this.out.u32(this.#depth - label);
  }

  /**
   * A switch: `cases[i]` runs for index i, `otherwise` for all others. Each must end in a branch.
   * The cases share the pool of locals.
   */
  switch(index: Value, cases: readonly (() => void)[], otherwise: () => void): void {
    for (let i = 0; i <= cases.length; i++) this.#open(OPCODE.block);
    this.push(index);
    this.out.u8(OPCODE.brTable);
    this.out.u32(cases.length);
    for (let i = 0; i <= cases.length; i++) this.out.u32(i);
    for (const body of [...cases, otherwise]) {
      this.#close();
      this.release();
      body();
    }
  }

  return(value?: Value): void {
    if (value) this.push(value);
    this.out.u8(OPCODE.return);
  }

  unreachable(): void {
    this.out.u8(0);
  }

  push(value: Value): void {
    const { local, constant, type } = value as Held;
    if (local >= 0) {
      this.out.u8(OPCODE.localGet);
      this.out.u32(local);
    } else if (type === 'i32') {
      this.out.u8(OPCODE.i32Const);
      this.out.s32(Number(constant));
    } else if (type === 'i64') {
      this.out.u8(OPCODE.i64Const);
      this.out.s64(BigInt(constant ?? 0));
    } else if (type === 'f32') {
      this.out.u8(OPCODE.f32Const);
      this.out.f32(Number(constant));
    } else {
      this.out.u8(OPCODE.f64Const);
      this.out.f64(Number(constant));
    }
  }

  /** Pops the stack into a fresh local. */
  take(type: Type, bits: number): Held {
    const used = this.#used[type]++;
    if (used >= this.#pool[type]) throw new Error(`out of ${type} locals: the body is too long`);
    const local = this.#first[type] + used;
    this.out.u8(OPCODE.localSet);
    this.out.u32(local);
    return { type, bits, local };
  }

  #result(signature: Signature): Value {
    const [type] = signature.results;
    return type ? this.take(type, NATURAL_BYTES[type] * 8) : this.const(32, 0);
  }

  #access(
    table: Readonly<Record<string, readonly [number, number?]>>,
    key: string,
    offset: number,
  ): void {
    const row = table[key];
    if (!row) throw new Error(`no access ${key}`);
    const [opcode, prefix] = row;
    if (prefix) {
      this.out.u8(prefix);
      this.out.u32(opcode);
    } else this.out.u8(opcode);
    this.out.u8(0); // alignment: unknown
    this.out.u32(offset);
  }

  #hint(offset: number, likely: boolean | undefined): void {
    if (likely !== undefined) this.#hints.push({ offset, likely });
  }

  #open(opcode: number): Label {
    this.out.u8(opcode);
    this.out.u8(NO_RESULT);
    this.#depth += 1;
    return this.#depth;
  }

  #close(): void {
    this.out.u8(OPCODE.end);
    this.#depth -= 1;
  }

  #writeLocals(): void {
    this.out.u32(this.#fixed.length + POOL_ORDER.length);
    for (const type of this.#fixed) {
      this.out.u32(1);
      this.out.u8(TYPE_CODE[type]);
    }
    for (const type of POOL_ORDER) {
      this.out.u32(this.#pool[type]);
      this.out.u8(TYPE_CODE[type]);
    }
  }
}
