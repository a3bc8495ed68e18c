/** MUL, IMUL, DIV, IDIV, with 128-bit products and dividends made of 64-bit parts. */
// Spec: SDM 2A/2B, MUL, IMUL, DIV, IDIV. SF, ZF, AF and PF are undefined after a multiplication, all flags after a division.

import type { Builder, Operands, Semantics, Value } from './builder.js';
import { type Family, forms } from './define.js';
import { VECTOR } from './processor.js';
import { GPR, SLOT } from './state.js';

const AH = SLOT.GPR + 1;
const i64 = (b: Builder, value: number | bigint): Value => b.const(64, value);
const low32 = (b: Builder, value: Value): Value => b.and(value, i64(b, 0xffff_ffff));

/** The high half of an unsigned 64 x 64-bit product, by 32-bit parts. */
function highProduct(b: Builder, left: Value, right: Value): Value {
  const [l0, l1] = [low32(b, left), b.shrU(left, 32)];
  const [r0, r1] = [low32(b, right), b.shrU(right, 32)];
  const first = b.add(b.mul(l1, r0), b.shrU(b.mul(l0, r0), 32));
  const second = b.add(b.mul(l0, r1), low32(b, first));
  return b.add(b.mul(l1, r1), b.add(b.shrU(first, 32), b.shrU(second, 32)));
}

/** The high half of a signed product: each negative factor counts the other once too often. */
function highSigned(b: Builder, left: Value, right: Value): Value {
  const high = highProduct(b, left, right);
  const less = b.add(b.and(b.shrS(left, 63), right), b.and(b.shrS(right, 63), left));
  return b.sub(high, less);
}

const isNot = (b: Builder, left: Value, right: Value): Value => b.ne(left, right);

function multiply(b: Builder, { dst }: Operands, signed: boolean): void {
  const right = b.read(dst);
  const n = right.bits;
  const left = b.reg(GPR.RAX, n);
  if (n === 64) {
    multiply64(b, left, right, signed);
    return;
  }
  const extend = (value: Value): Value =>
    signed ? b.signExtend(value, 64) : b.zeroExtend(value, 64);
  const product = b.mul(extend(left), extend(right));
  const low = b.truncate(product, n);
  const lost = isNot(b, extend(low), product);
  if (n === 8) b.setReg(GPR.RAX, b.truncate(product, 16));
  else {
    b.setReg(GPR.RAX, low);
    b.setReg(GPR.RDX, b.truncate(b.shrU(product, n), n));
  }
  b.flags.carryOverflow(lost, lost);
}

function multiply64(b: Builder, left: Value, right: Value, signed: boolean): void {
  const low = b.mul(left, right);
  const high = signed ? highSigned(b, left, right) : highProduct(b, left, right);
  const lost = isNot(b, high, signed ? b.shrS(low, 63) : i64(b, 0));
  b.setReg(GPR.RAX, low);
  b.setReg(GPR.RDX, high);
  b.flags.carryOverflow(lost, lost);
}

/** IMUL with two or three operands: the low half, CF = OF = something was lost. */
function multiplyInto(b: Builder, o: Operands, left: Value, right: Value): void {
  const n = left.bits;
  if (n === 64) {
    const low = b.mul(left, right);
    const lost = isNot(b, highSigned(b, left, right), b.shrS(low, 63));
    b.write(o.dst, low);
    b.flags.carryOverflow(lost, lost);
    return;
  }
  const product = b.mul(b.signExtend(left, 64), b.signExtend(right, 64));
  const low = b.truncate(product, n);
  const lost = isNot(b, b.signExtend(low, 64), product);
  b.write(o.dst, low);
  b.flags.carryOverflow(lost, lost);
}

const multiplyTwo: Semantics = (b, o) => {
  const right = b.read(o.src);
  multiplyInto(b, o, b.read(o.dst), right);
};
const multiplyThree: Semantics = (b, o) => multiplyInto(b, o, b.read(o.src), b.read(o.third));

const divideError = (b: Builder, condition: Value): void => b.raiseIf(condition, VECTOR.DE);

/** The dividend of a division narrower than 64 bits, in 64 bits. */
function narrowDividend(b: Builder, n: number, signed: boolean): Value {
  const whole =
    n === 8
      ? b.reg(GPR.RAX, 16)
      : n === 16
        ? b.or(
            b.shl(b.zeroExtend(b.reg(GPR.RDX, 16), 32), 16),
            b.zeroExtend(b.reg(GPR.RAX, 16), 32),
          )
        : b.or(
            b.shl(b.zeroExtend(b.reg(GPR.RDX, 32), 64), 32),
            b.zeroExtend(b.reg(GPR.RAX, 32), 64),
          );
  return signed ? b.signExtend(whole, 64) : b.zeroExtend(whole, 64);
}

function putQuotient(b: Builder, n: number, quotient: Value, remainder: Value): void {
  b.setReg(GPR.RAX, b.truncate(quotient, n));
  if (n === 8) b.setState(AH, b.zeroExtend(b.truncate(remainder, 8), 32), 1);
  else b.setReg(GPR.RDX, b.truncate(remainder, n));
}

const divideUnsigned: Semantics = (b, { dst }) => {
  const source = b.read(dst);
  if (source.bits === 64) return divideWide(b, source);
  const divisor = b.zeroExtend(source, 64);
  divideError(b, b.isZero(divisor));
  const dividend = narrowDividend(b, source.bits, false);
  const quotient = b.op('i64.div_u', dividend, divisor);
  divideError(b, b.ne(b.shrU(quotient, source.bits), i64(b, 0)));
  putQuotient(b, source.bits, quotient, b.op('i64.rem_u', dividend, divisor));
};

const divideSigned: Semantics = (b, { dst }) => {
  const source = b.read(dst);
  if (source.bits === 64) return divideWideSigned(b, source);
  const n = source.bits;
  const divisor = b.signExtend(source, 64);
  divideError(b, b.isZero(divisor));
  const dividend = narrowDividend(b, n, true);
  // -2^63 / -1 does not fit even in 64 bits, and WebAssembly would trap
  const isMinimum = b.eq(dividend, i64(b, -(2n ** 63n)));
  divideError(b, b.and(isMinimum, b.eq(divisor, i64(b, -1))));
  const quotient = b.op('i64.div_s', dividend, divisor);
  divideError(b, b.ne(b.signExtend(b.truncate(quotient, n), 64), quotient));
  putQuotient(b, n, quotient, b.op('i64.rem_s', dividend, divisor));
};

/** RDX:RAX / divisor, unsigned. */
function divideWide(b: Builder, divisor: Value): void {
  const [high, low] = [b.reg(GPR.RDX, 64), b.reg(GPR.RAX, 64)];
  // a quotient of more than 64 bits; also a divisor of 0
  divideError(b, b.isZero(b.ltU(high, divisor)));
  const { quotient, remainder } = longDivision(b, high, low, divisor);
  b.setReg(GPR.RAX, quotient);
  b.setReg(GPR.RDX, remainder);
}

/** Unsigned 128 / 64-bit division with high < divisor: directly if high is 0, else bit by bit. */
function longDivision(
  b: Builder,
  high: Value,
  low: Value,
  divisor: Value,
): { quotient: Value; remainder: Value } {
  const quotient = b.variable(low);
  const remainder = b.variable(high);
  const bitByBit = (): void => {
    const left = b.variable(b.const(32, 64));
    b.loop((again) => {
      const carry = b.signBit(remainder);
      const shifted = b.or(b.shl(remainder, 1), b.shrU(quotient, 63));
      const fits = b.or(carry, b.isZero(b.ltU(shifted, divisor)));
      b.assign(remainder, b.select(fits, b.sub(shifted, divisor), shifted));
      b.assign(quotient, b.or(b.shl(quotient, 1), b.zeroExtend(fits, 64)));
      b.assign(left, b.sub(left, b.const(32, 1)));
      b.if(left, again);
    });
  };
  const direct = (): void => {
    b.assign(remainder, b.op('i64.rem_u', low, divisor));
    b.assign(quotient, b.op('i64.div_u', low, divisor));
  };
  b.if(b.isZero(high), direct, bitByBit);
  return { quotient, remainder };
}

/** RDX:RAX / divisor, signed: on magnitudes, signs put back. */
function divideWideSigned(b: Builder, divisor: Value): void {
  divideError(b, b.isZero(divisor));
  const [high, low] = [b.reg(GPR.RDX, 64), b.reg(GPR.RAX, 64)];
  const negative = b.shrS(high, 63);
  const negativeDivisor = b.shrS(divisor, 63);
  // two's complement of 128 bits where negative: (x ^ sign) - sign, with the borrow
  const lowFlipped = b.xor(low, negative);
  const lowMagnitude = b.sub(lowFlipped, negative);
  const borrow = b.and(b.shrU(negative, 63), b.zeroExtend(b.isZero(lowMagnitude), 64));
  const highMagnitude = b.add(b.xor(high, negative), borrow);
  const magnitude = b.sub(b.xor(divisor, negativeDivisor), negativeDivisor);
  divideError(b, b.isZero(b.ltU(highMagnitude, magnitude)));
  const { quotient, remainder } = longDivision(b, highMagnitude, lowMagnitude, magnitude);
  const sign = b.xor(negative, negativeDivisor);
  const signed = b.sub(b.xor(quotient, sign), sign);
  // the quotient must have the sign it should have, or be 0
  const wrong = b.signBit(b.xor(signed, sign));
  divideError(b, b.and(wrong, b.ne(quotient, i64(b, 0))));
  b.setReg(GPR.RAX, signed);
  b.setReg(GPR.RDX, b.sub(b.xor(remainder, negative), negative));
}

const ONE = 'rm8 rm16 rm32 rm64';
const TWO = 'r16_rm16 r32_rm32 r64_rm64';
const THREE =
  'r16_rm16_imm8 r32_rm32_imm8 r64_rm64_imm8 r16_rm16_imm16 r32_rm32_imm32 r64_rm64_imm32';

export const multiplyDivide: Family = (define) => {
  const hot = { hot: [32, 64], coldMemory: true } as const;
  // biome-ignore format: one row per instruction
  const rows: readonly (readonly [names: string[], body: Semantics, isHot: boolean])[] = [
    [forms('Mul', ONE),    (b, o) => multiply(b, o, false), true],
    [forms('Imul', ONE),   (b, o) => multiply(b, o, true),  false],
    [forms('Imul', TWO),   multiplyTwo,                     true],
    [forms('Imul', THREE), multiplyThree,                   true],
    [forms('Div', ONE),    divideUnsigned,                  false],
    [forms('Idiv', ONE),   divideSigned,                    false],
  ];
  for (const [names, body, isHot] of rows) define(names, body, isHot ? hot : {});
};
