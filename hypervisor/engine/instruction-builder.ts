/** The builder of x86/builder.ts: semantics in, WebAssembly out, for the interpreter and for translated code alike. */

import type { Builder, CodeMode, HostFunction, Operand, Type, Value } from '../x86/builder.js';
import { ACCESS, EXIT, VECTOR } from '../x86/processor.js';
import { ENTRY, segmentEntry } from '../x86/segment-state.js';
import { gprSlot, SEGMENT, SLOT } from '../x86/state.js';
import { POOL } from './function-builder.js';
import type { IntegerBuilder } from './integer-builder.js';
import { type FlagStore, LazyFlags } from './lazy-flags-builder.js';
import { MemoryBuilder } from './memory-builder.js';
import type { OperandSource, PlacedOperand } from './operands.js';
import { INTERNAL } from './record.js';
import type { Runtime } from './runtime.js';
import type { Signature } from './wasm-module.js';
import { NATURAL_BYTES } from './wasm-opcodes.js';

/** How an instruction leaves: differs between the interpreter's loop, functions called from it, and translated code. */
export interface Ends {
  /** The exit is recorded, the instruction did not happen. */
  fault(): void;
  /** The exit is recorded, the instruction is retired. */
  trap(): void;
  branch(target: Value): void;
  branchIf(condition: Value | undefined): void;
  repeat(): void;
  finish(outcome: Value): void;
}

const CR0_TS_EM = 0x0c;

export class InstructionBuilder extends MemoryBuilder implements Builder {
  readonly flags: LazyFlags;
  #source: OperandSource | undefined;
  #ends: Ends | undefined;
  #hostCalls = 0;
  #hasFpu = false;
  /** Host addresses of memory operands that were translated for writing. */
  readonly #translated = new Map<Operand, Value>();

  constructor(
    signature: Signature,
    fixed: readonly Type[],
    runtime: Runtime,
    flagStore: (builder: IntegerBuilder) => FlagStore,
    pool = POOL.LARGE,
  ) {
    super(signature, fixed, runtime, pool);
    this.flags = new LazyFlags(this, flagStore(this));
  }

  get mode(): CodeMode {
    return this.functions.mode;
  }

  /** To be called before the semantics of each instruction. */
  begin(source: OperandSource, ends: Ends): void {
    this.#source = source;
    this.#ends = ends;
    this.#translated.clear();
  }

  // ---- operands
  read(operand: Operand): Value {
    const { kind, bits } = operand as PlacedOperand;
    if (kind === 'memory') return this.load(this.address(operand), bits);
    const known = this.#sources.constant?.(operand as PlacedOperand);
    if (known) return known;
    return this.fromHost(this.#sources.slot(operand as PlacedOperand), bits);
  }

  readForWrite(operand: Operand): Value {
    if (operand.kind !== 'memory') return this.read(operand);
    this.probeWrite(operand);
    return this.fromHost(this.#host(operand), operand.bits);
  }

  probeWrite(operand: Operand): void {
    if (operand.kind !== 'memory') return;
    const address = this.address(operand, undefined, ACCESS.WRITE);
    const host = this.translateWrite(address, operand.bits / 8);
    this.#translated.set(operand, host);
  }

  write(operand: Operand, value: Value): void {
    if (operand.kind === 'memory') this.#writeMemory(operand, value);
    else this.#toSlot(this.#sources.slot(operand as PlacedOperand), value, operand.bits);
  }

  readAs(operand: Operand, type: Type): Value {
    if (operand.kind === 'memory') return this.loadAs(this.address(operand), type);
    return this.hostLoad(this.#sources.slot(operand as PlacedOperand), type);
  }

  writeAs(operand: Operand, value: Value): void {
    if (operand.kind === 'memory') this.#writeMemory(operand, value);
    else this.hostStore(this.#sources.slot(operand as PlacedOperand), value);
  }

  readAligned(operand: Operand): Value {
    if (operand.kind !== 'memory') return this.read(operand);
    const address = this.address(operand);
    this.#requireAligned(address);
    return this.load(address, operand.bits);
  }

  writeAligned(operand: Operand, value: Value): void {
    if (operand.kind === 'memory') {
      const address = this.address(operand, undefined, ACCESS.WRITE);
      this.#requireAligned(address);
      this.store(address, value);
    } else this.write(operand, value);
  }

  address(operand: Operand, plus?: Value, access: number = ACCESS.READ): Value {
    return this.place(operand, this.offset(operand, plus), access);
  }

  offset(operand: Operand, plus?: Value): Value {
    return this.#sources.offset(operand as PlacedOperand, plus);
  }

  place(operand: Operand, offset: Value, access: number): Value {
    const segment = this.#sources.segment(operand as PlacedOperand);
    if (!segment) return offset;
    if (this.mode.bits === 64) return this.add(offset, this.hostLoad(segment, 'i64'));
    return this.#inSegment(segment, offset, operand.bits / 8, access);
  }

  linear(segment: number, offset: Value, bytes: number, access: number): Value {
    if (!this.mode.isSegmented) return offset;
    return this.#inSegment(this.const(32, segmentEntry(segment)), offset, bytes, access);
  }

  /** SDM 3A §5.3: beyond the limit of a segment, or against its type, is #GP(0); in the stack segment #SS(0). */
  #inSegment(entry: Value, offset: Value, bytes: number, access: number): Value {
    const low = this.hostLoad(entry, 'i64', 8, ENTRY.LOW);
    const end = this.hostLoad(entry, 'i64', 8, ENTRY.END);
    const last = this.add(offset, this.const(64, Math.max(bytes, 1)));
    const outside = this.or(this.ltU(offset, low), this.ltU(end, last));
    const readOnly = (): Value => this.isZero(this.hostLoad(entry, 'i32', 4, ENTRY.WRITABLE));
    const refused = access === ACCESS.WRITE ? this.or(outside, readOnly()) : outside;
    const refuse = (): void => {
      const isStack = this.op('i32.eq', entry, this.const(32, segmentEntry(SEGMENT.SS)));
      const vector = this.select(isStack, this.const(32, VECTOR.SS), this.const(32, VECTOR.GP));
      this.#recordException(vector, 0);
      this.#end.fault();
    };
    super.if(refused, refuse, undefined, false);
    const base = this.hostLoad(entry, 'i64', 8, ENTRY.BASE);
    return this.and(this.add(base, offset), this.const(64, 0xffff_ffff));
  }

  slot(operand: Operand): Value {
    return this.#sources.slot(operand as PlacedOperand);
  }

  // ---- registers and processor state
  reg(n: number, bits: number): Value {
    return this.fromHost(this.const(32, gprSlot(n)), bits);
  }

  setReg(n: number, value: Value): void {
    this.#toSlot(this.const(32, gprSlot(n)), value, value.bits);
  }

  state(slot: number, type: Type, bytes: number = NATURAL_BYTES[type]): Value {
    return this.hostLoad(this.const(32, slot), type, bytes);
  }

  setState(slot: number, value: Value, bytes: number = NATURAL_BYTES[value.type]): void {
    this.hostStore(this.const(32, slot), value, bytes);
  }

  rip(): Value {
    return this.#sources.rip();
  }

  nextRip(): Value {
    return this.#sources.nextRip();
  }

  call(target: HostFunction, ...args: readonly Value[]): Value {
    const index = this.functions.host.get(target.name);
    this.#hostCalls += 1;
    if (index === undefined) throw new Error(`host function ${target.name} is not listed`);
    const results = target.result ? [target.result] : [];
    return this.callIndex(index, { params: target.params, results }, args);
  }

  // ---- control: what was known about the flags does not survive a join
  override if(
    condition: Value,
    then: () => void,
    otherwise?: () => void,
    likely?: boolean | (() => boolean | undefined),
  ): void {
    let [thenCalls, otherCalls] = [false, false];
    const [first, second] = [this.#watched(then), otherwise && this.#watched(otherwise)];
    super.if(
      condition,
      () => {
        thenCalls = first();
      },
      second &&
        (() => {
          otherCalls = second();
        }),
      // calling the host is the slow path, unless both do
      likely ?? (() => (thenCalls === otherCalls ? undefined : otherCalls)),
    );
    this.flags.forget();
  }

  /** Tells whether a body calls the host. */
  #watched(body: () => void): () => boolean {
    return () => {
      const before = this.#hostCalls;
      body();
      return this.#hostCalls > before;
    };
  }

  override loop(body: (again: () => void) => void): void {
    this.flags.forget();
    super.loop(body);
    this.flags.forget();
  }

  override block(body: (leave: () => void) => void): void {
    super.block(body);
    this.flags.forget();
  }

  // ---- ends
  branchIf(condition: Value): void {
    this.#end.branchIf(condition);
  }

  branchNear(): void {
    this.#end.branchIf(undefined);
  }

  branch(target: Value): void {
    this.#end.branch(target);
  }

  repeat(): void {
    this.#end.repeat();
  }

  finish(outcome: Value): void {
    this.#end.finish(outcome);
  }

  raise(vector: number, errorCode: number | Value = 0): void {
    this.#recordException(vector, errorCode);
    this.#end.fault();
  }

  raiseIf(condition: Value, vector: number, errorCode: number | Value = 0): void {
    super.if(condition, () => this.raise(vector, errorCode), undefined, false);
  }

  raiseRecorded(condition: Value): void {
    super.if(condition, () => this.#end.fault(), undefined, false);
  }

  raiseTrap(vector: number): void {
    this.#recordException(vector, 0);
    this.#end.trap();
  }

  exitBefore(reason: number, vector?: Value): void {
    this.setState(SLOT.EXIT_REASON, this.const(32, reason));
    if (vector) this.setState(SLOT.EXIT_VECTOR, vector);
    this.#end.fault();
  }

  exitAfter(reason: number): void {
    this.setState(SLOT.EXIT_REASON, this.const(32, reason));
    this.#end.trap();
  }

  resync(): void {
    this.exitAfter(INTERNAL.RESYNC);
  }

  /** From here on `requireFpu` emits nothing: whoever runs the code has looked at CR0. */
  assumeFpu(): void {
    this.#hasFpu = true;
  }

  requireFpu(kind: 'x87' | 'sse'): void {
    if (this.#hasFpu) return;
    const cr0 = this.state(SLOT.CR0, 'i32');
    const off = this.and(cr0, this.const(32, CR0_TS_EM));
    const raise = (): void => this.raise(VECTOR.NM);
    super.if(
      off,
      () => {
        // SDM 3A table 2-2: with CR0.EM set an SSE instruction is #UD
        const emulate = this.and(cr0, this.const(32, 4));
        if (kind === 'sse') super.if(emulate, () => this.raise(VECTOR.UD), raise);
        else raise();
      },
      undefined,
      false,
    );
  }

  // ---- helpers
  protected fault(): void {
    this.#end.fault();
  }

  #recordException(vector: number | Value, errorCode: number | Value): void {
    const asValue = (n: number | Value): Value => (typeof n === 'number' ? this.const(32, n) : n);
    this.setState(SLOT.EXIT_REASON, this.const(32, EXIT.EXCEPTION));
    this.setState(SLOT.EXIT_VECTOR, asValue(vector));
    this.setState(SLOT.EXIT_ERROR, asValue(errorCode));
  }

  get #sources(): OperandSource {
    if (!this.#source) throw new Error('no instruction was begun');
    return this.#source;
  }

  get #end(): Ends {
    if (!this.#ends) throw new Error('no instruction was begun');
    return this.#ends;
  }

  /** A 32-bit write to a register slot clears its upper half (SDM 1 §3.4.1.1). */
  #toSlot(slot: Value, value: Value, bits: number): void {
    if (value.bits !== bits) throw new Error(`${value.bits}-bit value written to ${bits} bits`);
    if (bits === 32) this.hostStore(slot, this.zeroExtend(value, 64));
    else this.hostStore(slot, value);
  }

  #writeMemory(operand: Operand, value: Value): void {
    const host = this.#translated.get(operand);
    if (host) {
      this.hostStore(host, value);
      this.commit(host);
    } else this.store(this.address(operand, undefined, ACCESS.WRITE), value);
  }

  #host(operand: Operand): Value {
    const host = this.#translated.get(operand);
    if (!host) throw new Error('operand was not translated');
    return host;
  }

  #requireAligned(address: Value): void {
    const low = this.and(this.truncate(address, 32), this.const(32, 15));
    this.raiseIf(low, VECTOR.GP);
  }
}
