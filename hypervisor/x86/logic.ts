/** AND, OR, XOR, TEST, NOT. Spec: SDM 2A, 2B. */

import { ALU_FORMS, HOT, WIDE } from './arithmetic.js';
import type { Builder, Semantics, Value } from './builder.js';
import { type Family, forms } from './define.js';

type Operation = (b: Builder, left: Value, right: Value) => Value;

const logic =
  (operation: Operation): Semantics =>
  (b, { dst, src }) => {
    const right = b.read(src);
    const result = operation(b, b.readForWrite(dst), right);
    b.write(dst, result);
    b.flags.logic(result);
  };

const test: Semantics = (b, { dst, src }) => {
  const left = b.read(dst);
  b.flags.logic(b.and(left, b.read(src)));
};

const not: Semantics = (b, { dst }) => {
  b.write(dst, b.not(b.readForWrite(dst)));
};

const TEST_FORMS =
  'rm8_r8 rm16_r16 rm32_r32 rm64_r64 AL_imm8 AX_imm16 EAX_imm32 RAX_imm32 ' +
  'rm8_imm8 rm16_imm16 rm32_imm32 rm64_imm32 rm8_imm8_F6r1 rm16_imm16_F7r1 rm32_imm32_F7r1 rm64_imm32_F7r1';

export const bitwise: Family = (define) => {
  define(
    forms('And', ALU_FORMS),
    logic((b, l, r) => b.and(l, r)),
    { hot: HOT },
  );
  define(
    forms('Or', ALU_FORMS),
    logic((b, l, r) => b.or(l, r)),
    { hot: HOT },
  );
  define(
    forms('Xor', ALU_FORMS),
    logic((b, l, r) => b.xor(l, r)),
    { hot: HOT },
  );
  define(forms('Test', TEST_FORMS), test, { hot: [8, 16, 32, 64] });
  define(forms('Not', 'rm8 rm16 rm32 rm64'), not, { hot: WIDE, coldMemory: true });
};
