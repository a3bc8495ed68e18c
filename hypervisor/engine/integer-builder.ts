/** Integer arithmetic on 8, 16, 32 and 64-bit values over FunctionBuilder. */

import type { Value } from '../x86/builder.js';
import type { Op } from '../x86/ops.js';
import { FunctionBuilder, type Held } from './function-builder.js';

type Base =
  | 'add'
  | 'sub'
  | 'mul'
  | 'and'
  | 'or'
  | 'xor'
  | 'shl'
  | 'shr_s'
  | 'shr_u'
  | 'rotl'
  | 'rotr';

export class IntegerBuilder extends FunctionBuilder {
  add(left: Value, right: Value): Value {
    return this.#wrapped('add', left, right);
  }
  sub(left: Value, right: Value): Value {
    return this.#wrapped('sub', left, right);
  }
  mul(left: Value, right: Value): Value {
    return this.#wrapped('mul', left, right);
  }
  and(left: Value, right: Value): Value {
    return this.#same('and', left, right);
  }
  or(left: Value, right: Value): Value {
    return this.#same('or', left, right);
  }
  xor(left: Value, right: Value): Value {
    return this.#same('xor', left, right);
  }
  not(value: Value): Value {
    return this.xor(value, this.const(value.bits, value.bits < 32 ? (1 << value.bits) - 1 : -1));
  }
  neg(value: Value): Value {
    return this.sub(this.const(value.bits, 0), value);
  }

  shl(value: Value, count: Value | number): Value {
    return this.#wrapped('shl', value, this.#count(value, count));
  }
  shrU(value: Value, count: Value | number): Value {
    return this.#same('shr_u', value, this.#count(value, count));
  }
  shrS(value: Value, count: Value | number): Value {
    const shifted = this.#same('shr_s', this.#signed(value), this.#count(value, count));
    return this.#mask(shifted, value.bits);
  }

  zeroExtend(value: Value, bits: number): Value {
    if (bits === value.bits) return value;
    if (bits === 64) return { ...this.op('i64.extend_i32_u', value), bits };
    return { ...value, bits };
  }

  signExtend(value: Value, bits: number): Value {
    if (bits === value.bits) return value;
    const signed = this.#signed(value);
    if (bits === 64) return this.op('i64.extend_i32_s', signed);
    return this.#mask(signed, bits);
  }

  truncate(value: Value, bits: number): Value {
    if (bits >= value.bits) return value;
    const low = value.type === 'i64' ? this.op('i32.wrap_i64', value) : value;
    return this.#mask(low, bits);
  }

  eq(left: Value, right: Value): Value {
    return this.#compare('eq', left, right);
  }
  ne(left: Value, right: Value): Value {
    return this.#compare('ne', left, right);
  }
  ltU(left: Value, right: Value): Value {
    return this.#compare('lt_u', left, right);
  }
  ltS(left: Value, right: Value): Value {
    return this.#compare('lt_s', this.#signed(left), this.#signed(right));
  }
  isZero(value: Value): Value {
    return this.op(value.type === 'i64' ? 'i64.eqz' : 'i32.eqz', value);
  }
  signBit(value: Value): Value {
    return this.truncate(this.shrU(value, value.bits - 1), 32);
  }

  /** The value sign-extended within its WebAssembly type. */
  #signed(value: Value): Value {
    if (value.bits === 8) return this.op('i32.extend8_s', value);
    if (value.bits === 16) return this.op('i32.extend16_s', value);
    return value;
  }

  #mask(value: Value, bits: number): Value {
    if (bits >= 32) return { ...value, bits };
    return { ...this.op('i32.and', value, this.const(32, (1 << bits) - 1)), bits };
  }

  #same(name: Base, left: Value, right: Value): Value {
    return { ...this.op(`${left.type}.${name}` as Op, left, right), bits: left.bits };
  }

  #wrapped(name: Base, left: Value, right: Value): Value {
    return this.#mask(this.#same(name, left, right), left.bits);
  }

  #compare(name: string, left: Value, right: Value): Value {
    return this.op(`${left.type}.${name}` as Op, left, right);
  }

  /** A shift count has the type of what it shifts. */
  #count(value: Value, count: Value | number): Value {
    if (typeof count === 'number') return this.const(value.bits === 64 ? 64 : 32, count);
    if (value.type === count.type) return count;
    const held = count as Held;
    if (held.constant !== undefined) return this.const(value.bits, held.constant);
    return value.type === 'i64'
      ? this.op('i64.extend_i32_u', count)
      : this.op('i32.wrap_i64', count);
  }
}
