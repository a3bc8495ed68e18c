/** The builder of x86/builder.ts: semantics in, WebAssembly out, for the interpreter and for translated code alike. */

import type { Builder, HostFunction, Operand, Space, Type, Value } from '../x86/builder.js';
import { EXIT, VECTOR } from '../x86/processor.js';
import { gprSlot, SLOT } from '../x86/state.js';
import { NATURAL_BYTES, POOL } from './function-builder.js';
import { IntegerBuilder } from './integer-builder.js';
import { type FlagStore, LazyFlags } from './lazy-flags-builder.js';
import { SCRATCH_CROSSING, TLB_READ, TLB_WRITE, tlbEntry } from './mmu.js';
import type { OperandSource, PlacedOperand } from './operands.js';
import { INTERNAL, TLB } from './record.js';
import type { Runtime } from './runtime.js';
import type { Signature } from './wasm-module.js';

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

export class InstructionBuilder extends IntegerBuilder implements Builder {
  readonly flags: LazyFlags;
  readonly #runtime: Runtime;
  #source: OperandSource | undefined;
  #ends: Ends | undefined;
  /** Host addresses of memory operands that were translated for writing. */
  readonly #translated = new Map<Operand, Value>();

  constructor(
    signature: Signature,
    fixed: readonly Type[],
    runtime: Runtime,
    flagStore: (builder: IntegerBuilder) => FlagStore,
    pool = POOL.LARGE,
  ) {
    super(signature, fixed, pool);
    this.#runtime = runtime;
    this.flags = new LazyFlags(this, flagStore(this));
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
    return this.#fromHost(this.#sources.slot(operand as PlacedOperand), bits);
  }

  readForWrite(operand: Operand): Value {
    if (operand.kind !== 'memory') return this.read(operand);
    this.probeWrite(operand);
    return this.#fromHost(this.#host(operand), operand.bits);
  }

  probeWrite(operand: Operand): void {
    if (operand.kind !== 'memory') return;
    const host = this.translateWrite(this.address(operand), operand.bits / 8);
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
      const address = this.address(operand);
      this.#requireAligned(address);
      this.store(address, value);
    } else this.write(operand, value);
  }

  address(operand: Operand, plus?: Value): Value {
    return this.#sources.address(operand as PlacedOperand, plus);
  }

  offset(operand: Operand): Value {
    return this.#sources.offset(operand as PlacedOperand);
  }

  slot(operand: Operand): Value {
    return this.#sources.slot(operand as PlacedOperand);
  }

  // ---- registers and processor state
  reg(n: number, bits: number): Value {
    return this.#fromHost(this.const(32, gprSlot(n)), bits);
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

  // ---- memory by address
  load(address: Value, bits: number, space?: Space): Value {
    return this.#fromHost(this.translateRead(address, bits / 8, space), bits);
  }

  loadAs(address: Value, type: Type, space?: Space): Value {
    return this.hostLoad(this.translateRead(address, NATURAL_BYTES[type], space), type);
  }

  store(address: Value, value: Value, space?: Space): void {
    if (value.type === 'v128') {
      const host = this.translateWrite(address, 16, space);
      this.hostStore(host, value);
      this.commit(host);
      return;
    }
    const { entry, miss } = this.#lookup(TLB_WRITE, address, value.bits / 8);
    const slow = (): void => {
      const args = [
        address,
        this.#asI64(value),
        this.const(32, value.bits / 8),
        stack(this, space),
      ];
      this.#orFault(this.#call('storeSlow', args));
    };
    const fast = (): void => {
      this.hostStore(this.#hostAddress(TLB_WRITE, entry, address), value);
    };
    super.if(miss, slow, fast, false);
  }

  translateRead(address: Value, bytes: number | Value, space?: Space): Value {
    return this.#translate(TLB_READ, 'readSlow', address, bytes, space);
  }

  translateWrite(address: Value, bytes: number | Value, space?: Space): Value {
    return this.#translate(TLB_WRITE, 'writeSlow', address, bytes, space);
  }

  commit(host: Value): void {
    const crossing = this.op('i32.eq', host, this.const(32, SCRATCH_CROSSING));
    super.if(crossing, () => void this.#call('commit', []), undefined, false);
  }

  /** Calls a function of the module. */
  runtime(name: keyof Runtime['internal'], args: readonly Value[]): Value {
    return this.#call(name, args);
  }

  call(target: HostFunction, ...args: readonly Value[]): Value {
    const index = this.#runtime.host.get(target.name);
    if (index === undefined) throw new Error(`host function ${target.name} is not listed`);
    const results = target.result ? [target.result] : [];
    return this.callIndex(index, { params: target.params, results }, args);
  }

  // ---- control: what was known about the flags does not survive a join
  override if(condition: Value, then: () => void, otherwise?: () => void, likely?: boolean): void {
    super.if(condition, then, otherwise, likely);
    this.flags.forget();
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

  requireFpu(kind: 'x87' | 'sse'): void {
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
  #recordException(vector: number, errorCode: number | Value): void {
    const code = typeof errorCode === 'number' ? this.const(32, errorCode) : errorCode;
    this.setState(SLOT.EXIT_REASON, this.const(32, EXIT.EXCEPTION));
    this.setState(SLOT.EXIT_VECTOR, this.const(32, vector));
    this.setState(SLOT.EXIT_ERROR, code);
  }

  get #sources(): OperandSource {
    if (!this.#source) throw new Error('no instruction was begun');
    return this.#source;
  }

  get #end(): Ends {
    if (!this.#ends) throw new Error('no instruction was begun');
    return this.#ends;
  }

  #fromHost(host: Value, bits: number): Value {
    if (bits === 128) return this.hostLoad(host, 'v128');
    if (bits === 64) return this.hostLoad(host, 'i64');
    return this.hostLoad(host, 'i32', bits / 8);
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
    } else this.store(this.address(operand), value);
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

  #translate(
    table: number,
    slow: 'readSlow' | 'writeSlow',
    address: Value,
    bytes: number | Value,
    space?: Space,
  ): Value {
    const size = typeof bytes === 'number' ? this.const(32, bytes) : bytes;
    const { entry, miss } = this.#lookup(table, address, bytes);
    const host = this.variable(this.#hostAddress(table, entry, address));
    super.if(
      miss,
      () => {
        this.assign(host, this.#call(slow, [address, size, stack(this, space)]));
        this.#orFault(host);
      },
      undefined,
      false,
    );
    return host;
  }

  /** One compare checks the page and that the access stays within it: address - tag > 4096 - bytes, unsigned. */
  #lookup(table: number, address: Value, bytes: number | Value): { entry: Value; miss: Value } {
    const entry = tlbEntry(this, address);
    const tag = this.hostLoad(entry, 'i64', 8, table);
    const distance = this.op('i64.sub', address, tag);
    const limit =
      typeof bytes === 'number'
        ? this.const(64, 4096 - bytes)
        : this.op('i64.sub', this.const(64, 4096), this.zeroExtend(bytes, 64));
    const miss = this.op('i64.gt_u', distance, limit);
    return { entry, miss };
  }

  #hostAddress(table: number, entry: Value, address: Value): Value {
    const addend = this.hostLoad(entry, 'i32', 4, table + TLB.ADDEND);
    return this.op('i32.add', addend, this.op('i32.wrap_i64', address));
  }

  #orFault(ok: Value): void {
    super.if(this.op('i32.eqz', ok), () => this.#end.fault(), undefined, false);
  }

  #call(name: keyof Runtime['internal'], args: readonly Value[]): Value {
    const { index, signature } = this.#runtime.internal[name];
    return this.callIndex(index, signature, args);
  }

  #asI64(value: Value): Value {
    if (value.type === 'f64') return this.op('i64.reinterpret_f64', value);
    if (value.type === 'f32') return this.zeroExtend(this.op('i32.reinterpret_f32', value), 64);
    return this.zeroExtend(value, 64);
  }
}

const stack = (b: IntegerBuilder, space: Space | undefined): Value =>
  b.const(32, space === 'stack' ? 1 : 0);
