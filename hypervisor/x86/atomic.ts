/** Read-modify-write with exchange: XADD, CMPXCHG, CMPXCHG8B, CMPXCHG16B. One processor: LOCK is a fence and no more (fences.ts). */
// Spec: SDM 2A/2B, the entries of the same names.

import type { Builder, Semantics, Value } from './builder.js';
import { type Family, forms } from './define.js';
import { ACCESS, VECTOR } from './processor.js';
import { GPR } from './state.js';

const exchangeAdd: Semantics = (b, { dst, src }) => {
  const left = b.readForWrite(dst);
  const right = b.read(src);
  const sum = b.add(left, right);
  b.write(src, left);
  b.write(dst, sum); // last: XADD of a register with itself gives the sum
  b.flags.add(left, right, sum);
};

/** The destination is written either way; the accumulator only if they differ. */
const compareExchange: Semantics = (b, { dst, src, size }) => {
  const left = b.readForWrite(dst);
  const right = b.read(src);
  const accumulator = b.reg(GPR.RAX, size);
  const isEqual = b.eq(accumulator, left);
  b.if(
    isEqual,
    () => b.write(dst, right),
    () => {
      // a register destination of 32 bits keeps its upper half; the accumulator loses its own
      if (dst.kind === 'memory') b.write(dst, left);
      b.setReg(GPR.RAX, left);
    },
  );
  b.flags.sub(accumulator, left, b.sub(accumulator, left));
};

/** 8 or 16 bytes against rdx:rax, exchanged with rcx:rbx; `bits` is the width of each register. */
const compareExchangePair =
  (bits: 32 | 64): Semantics =>
  (b, { dst }) => {
    const address = b.address(dst, undefined, ACCESS.WRITE);
    const bytes = bits / 8;
    if (bits === 64) {
      const misaligned = b.and(b.truncate(address, 32), b.const(32, 15));
      b.raiseIf(misaligned, VECTOR.GP);
    }
    const host = b.translateWrite(address, 2 * bytes);
    const type = bits === 64 ? 'i64' : 'i32';
    const [low, high] = [b.hostLoad(host, type), b.hostLoad(host, type, bytes, bytes)];
    const isEqual = b.and(b.eq(low, b.reg(GPR.RAX, bits)), b.eq(high, b.reg(GPR.RDX, bits)));
    b.if(
      isEqual,
      () => {
        b.hostStore(host, b.reg(GPR.RBX, bits), bytes);
        b.hostStore(host, b.reg(GPR.RCX, bits), bytes, bytes);
        b.commit(host);
      },
      () => setPair(b, low, high),
    );
    b.flags.setZero(isEqual);
  };

function setPair(b: Builder, low: Value, high: Value): void {
  b.setReg(GPR.RAX, low);
  b.setReg(GPR.RDX, high);
}

export const atomic: Family = (define) => {
  const pairs = 'rm8_r8 rm16_r16 rm32_r32 rm64_r64';
  define(forms('Xadd', pairs), exchangeAdd);
  define(forms('Cmpxchg', pairs), compareExchange);
  define(['Cmpxchg8b_m64'], compareExchangePair(32));
  define(['Cmpxchg16b_m128'], compareExchangePair(64));
};
