/** Guest memory over IntegerBuilder: the software TLB inline, slow paths called. */

import type { Space, Type, Value } from '../x86/builder.js';
import type { Pool } from './function-builder.js';
import { IntegerBuilder } from './integer-builder.js';
import { SCRATCH_CROSSING, TLB_READ, TLB_WRITE, tlbEntry } from './mmu.js';
import { TLB } from './record.js';
import type { Runtime } from './runtime.js';
import type { Signature } from './wasm-module.js';
import { NATURAL_BYTES } from './wasm-opcodes.js';

export abstract class MemoryBuilder extends IntegerBuilder {
  protected readonly functions: Runtime;

  constructor(signature: Signature, fixed: readonly Type[], functions: Runtime, pool: Pool) {
    super(signature, fixed, pool);
    this.functions = functions;
  }

  /** Leaves: the fault is recorded, the instruction did not happen. */
  protected abstract fault(): void;

  // ---- memory by address
  load(address: Value, bits: number, space?: Space): Value {
    return this.fromHost(this.translateRead(address, bits / 8, space), bits);
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

  /** An integer or a vector of a width, from a host address. */
  protected fromHost(host: Value, bits: number): Value {
    if (bits === 128) return this.hostLoad(host, 'v128');
    if (bits === 64) return this.hostLoad(host, 'i64');
    return this.hostLoad(host, 'i32', bits / 8);
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
    super.if(this.op('i32.eqz', ok), () => this.fault(), undefined, false);
  }

  #call(name: keyof Runtime['internal'], args: readonly Value[]): Value {
    const { index, signature } = this.functions.internal[name];
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
