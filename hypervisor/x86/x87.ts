/** x87 instructions: operands in and out of memory here, everything else in x87-host.ts. */
// Spec: SDM 2A and 2B, the F... entries.

import type { Builder, Operand, Semantics, Value } from './builder.js';
import type { Family } from './define.js';
import { eachChunk, imageAt } from './fxsave.js';
import { ACCESS, VECTOR } from './processor.js';
import { SLOT } from './state.js';
import { X87_FORMAT } from './x87-formats.js';
import { OPERAND, SKIP_STORE, X87_RESTORE, X87_RUN, X87_SAVE, x87Operation } from './x87-host.js';
import { STATUS } from './x87-state.js';

type Format = keyof typeof X87_FORMAT;

/** #NM, and for all but the FN... instructions #MF if an unmasked exception is pending. */
function begin(b: Builder, waits: boolean): void {
  b.requireFpu('x87');
  if (!waits) return;
  const pending = b.and(b.state(SLOT.FPU_STATUS, 'i32', 2), b.const(32, STATUS.SUMMARY));
  b.if(pending, () => b.raise(VECTOR.MF));
}

/** Calls an operation. @param st the stack register, or another small number. */
function run(b: Builder, name: string, st?: Value, extra?: Value): Value {
  const zero = b.const(32, 0);
  return b.call(X87_RUN, b.const(32, x87Operation(name)), st ?? zero, extra ?? zero);
}

const index = (b: Builder, operand: Operand): Value => b.zeroExtend(b.read(operand), 32);

const plain =
  (name: string, waits = true): Semantics =>
  (b) => {
    begin(b, waits);
    run(b, name);
  };
/** With a stack register; ST(0) is implied, so it is the only operand. */
const onRegister =
  (name: string): Semantics =>
  (b, { dst }) => {
    begin(b, true);
    run(b, name, index(b, dst));
  };
const constant =
  (n: number): Semantics =>
  (b) => {
    begin(b, true);
    run(b, 'constant', b.const(32, n));
  };

const WIDE: readonly Format[] = ['F80', 'BCD'];
const BYTES: Readonly<Record<Format, number>> = {
  NONE: 0,
  F32: 4,
  F64: 8,
  I16: 2,
  I32: 4,
  I64: 8,
  F80: 10,
  BCD: 10,
};

/** Brings a memory operand to where the host function looks for it. */
function fetch(b: Builder, operand: Operand, format: Format): void {
  const address = b.address(operand);
  if (WIDE.includes(format)) {
    const low = b.load(address, 64);
    const high = b.load(b.add(address, b.const(64, 8)), 16);
    b.setState(OPERAND, low);
    b.setState(OPERAND + 8, high, 2);
  } else b.setState(OPERAND, b.load(address, BYTES[format] * 8), BYTES[format]);
}

const fromMemory =
  (name: string, format: Format): Semantics =>
  (b, { dst }) => {
    begin(b, true);
    fetch(b, dst, format);
    run(b, name, undefined, b.const(32, X87_FORMAT[format]));
  };

/** The store may fault, so it is translated before the stack is touched. */
const toMemory =
  (name: string, format: Format): Semantics =>
  (b, { dst }) => {
    begin(b, true);
    const host = b.translateWrite(b.address(dst, undefined, ACCESS.WRITE), BYTES[format]);
    const outcome = run(b, name, undefined, b.const(32, X87_FORMAT[format]));
    b.if(b.ne(outcome, b.const(32, SKIP_STORE)), () => {
      if (WIDE.includes(format)) {
        b.hostStore(host, b.state(OPERAND, 'i64'));
        b.hostStore(host, b.state(OPERAND + 8, 'i32', 2), 2, 8);
      } else if (BYTES[format] === 8) b.hostStore(host, b.state(OPERAND, 'i64'));
      else b.hostStore(host, b.state(OPERAND, 'i32', BYTES[format]), BYTES[format]);
      b.commit(host);
    });
  };

const compareToFlags =
  (name: string): Semantics =>
  (b, { dst }) => {
    begin(b, true);
    run(b, name, index(b, dst));
    b.flags.load(b.state(OPERAND, 'i32'));
  };

const conditionalMove =
  (condition: number): Semantics =>
  (b, { dst }) => {
    begin(b, true);
    run(b, 'cmov', index(b, dst), b.flags.test(condition));
  };

// ---- control words and images

const loadControl: Semantics = (b, { dst }) => {
  begin(b, true);
  run(b, 'ldcw', b.load(b.address(dst), 16));
};
const storeWord =
  (slot: number): Semantics =>
  (b, { dst }) => {
    begin(b, false);
    b.write(dst, b.truncate(b.state(slot, 'i32', 2), 16));
  };

const STEP = 2;
const saveImage =
  (bytes: number): Semantics =>
  (b, { dst }) => {
    begin(b, false);
    const address = b.address(dst, undefined, ACCESS.WRITE);
    b.translateWrite(address, STEP);
    b.translateWrite(b.add(address, b.const(64, bytes - STEP)), STEP);
    b.call(X87_SAVE, b.const(32, bytes));
    eachChunk(b, bytes, STEP, (at) => {
      const word = b.truncate(b.hostLoad(imageAt(b, at), 'i32', STEP), 16);
      b.store(b.add(address, b.zeroExtend(at, 64)), word);
    });
  };
const restoreImage =
  (bytes: number): Semantics =>
  (b, { dst }) => {
    begin(b, true);
    const address = b.address(dst);
    eachChunk(b, bytes, STEP, (at) => {
      const word = b.load(b.add(address, b.zeroExtend(at, 64)), 16);
      b.hostStore(imageAt(b, at), word, STEP);
    });
    b.call(X87_RESTORE, b.const(32, bytes));
  };

/** Conditions of FCMOVcc as in Jcc. */
// biome-ignore format: one row per instruction
const CONDITIONAL = [
  ['Fcmovb', 2], ['Fcmove', 4], ['Fcmovbe', 6], ['Fcmovu', 10],
  ['Fcmovnb', 3], ['Fcmovne', 5], ['Fcmovnbe', 7], ['Fcmovnu', 11],
] as const;
const ARITHMETIC = ['add', 'mul', 'sub', 'subr', 'div', 'divr'];

// biome-ignore format: one row per instruction
const arithmetic: Family = (define) => {
  for (const op of ARITHMETIC) {
    define([`F${op}_m32fp`],        fromMemory(`${op} m`, 'F32'));
    define([`F${op}_m64fp`],        fromMemory(`${op} m`, 'F64'));
    define([`Fi${op}_m16int`],      fromMemory(`${op} m`, 'I16'));
    define([`Fi${op}_m32int`],      fromMemory(`${op} m`, 'I32'));
    define([`F${op}_st0_sti`],      onRegister(`${op} st0`));
    define([`F${op}_sti_st0`],      onRegister(`${op} sti`));
    define([`F${op}p_sti_st0`],     onRegister(`${op} sti p`));
  }
  for (const [mnemonic, condition] of CONDITIONAL) define([`${mnemonic}_st0_sti`], conditionalMove(condition));
};

// biome-ignore format: one row per instruction
const moves: Family = (define) => {
  define(['Fld_m32fp'],             fromMemory('ld m', 'F32'));
  define(['Fld_m64fp'],             fromMemory('ld m', 'F64'));
  define(['Fld_m80fp'],             fromMemory('ld m', 'F80'));
  define(['Fild_m16int'],           fromMemory('ld m', 'I16'));
  define(['Fild_m32int'],           fromMemory('ld m', 'I32'));
  define(['Fild_m64int'],           fromMemory('ld m', 'I64'));
  define(['Fbld_m80bcd'],           fromMemory('ld m', 'BCD'));
  define(['Fst_m32fp'],             toMemory('st m', 'F32'));
  define(['Fst_m64fp'],             toMemory('st m', 'F64'));
  define(['Fstp_m32fp'],            toMemory('stp m', 'F32'));
  define(['Fstp_m64fp'],            toMemory('stp m', 'F64'));
  define(['Fstp_m80fp'],            toMemory('stp m', 'F80'));
  define(['Fist_m16int'],           toMemory('st m', 'I16'));
  define(['Fist_m32int'],           toMemory('st m', 'I32'));
  define(['Fistp_m16int'],          toMemory('stp m', 'I16'));
  define(['Fistp_m32int'],          toMemory('stp m', 'I32'));
  define(['Fistp_m64int'],          toMemory('stp m', 'I64'));
  define(['Fisttp_m16int'],         toMemory('stp m t', 'I16'));
  define(['Fisttp_m32int'],         toMemory('stp m t', 'I32'));
  define(['Fisttp_m64int'],         toMemory('stp m t', 'I64'));
  define(['Fbstp_m80bcd'],          toMemory('stp m', 'BCD'));
  define(['Fld_sti'],               onRegister('ld sti'));
  define(['Fst_sti'],               onRegister('st sti'));
  define(['Fstp_sti', 'Fstp_sti_DFD0', 'Fstp_sti_DFD8'], onRegister('stp sti'));
  define(['Fxch_st0_sti', 'Fxch_st0_sti_DDC8', 'Fxch_st0_sti_DFC8'], onRegister('xch'));
};

// biome-ignore format: one row per instruction
const comparisons: Family = (define) => {
  define(['Fcom_st0_sti', 'Fcom_st0_sti_DCD0'],          onRegister('com sti'));
  define(['Fcomp_st0_sti', 'Fcomp_st0_sti_DCD8', 'Fcomp_st0_sti_DED0'], onRegister('com sti p'));
  define(['Fucom_st0_sti'],         onRegister('ucom sti'));
  define(['Fucomp_st0_sti'],        onRegister('ucom sti p'));
  define(['Fcompp'],                (b) => { begin(b, true); run(b, 'com sti pp', b.const(32, 1)); });
  define(['Fucompp'],               (b) => { begin(b, true); run(b, 'ucom sti pp', b.const(32, 1)); });
  define(['Fcom_m32fp'],            fromMemory('com m', 'F32'));
  define(['Fcom_m64fp'],            fromMemory('com m', 'F64'));
  define(['Fcomp_m32fp'],           fromMemory('com m p', 'F32'));
  define(['Fcomp_m64fp'],           fromMemory('com m p', 'F64'));
  define(['Ficom_m16int'],          fromMemory('com m', 'I16'));
  define(['Ficom_m32int'],          fromMemory('com m', 'I32'));
  define(['Ficomp_m16int'],         fromMemory('com m p', 'I16'));
  define(['Ficomp_m32int'],         fromMemory('com m p', 'I32'));
  define(['Fcomi_st0_sti'],         compareToFlags('comi'));
  define(['Fcomip_st0_sti'],        compareToFlags('comi p'));
  define(['Fucomi_st0_sti'],        compareToFlags('ucomi'));
  define(['Fucomip_st0_sti'],       compareToFlags('ucomi p'));
  define(['Ftst'],                  plain('tst'));
  define(['Fxam'],                  plain('xam'));
};

// biome-ignore format: one row per instruction
const control: Family = (define) => {
  ['Fld1', 'Fldl2t', 'Fldl2e', 'Fldpi', 'Fldlg2', 'Fldln2', 'Fldz'].forEach((name, n) => { define([name], constant(n)); });
  for (const name of ['Fchs', 'Fabs', 'Fsqrt', 'Frndint', 'Fscale', 'Fxtract', 'Fprem', 'Fprem1', 'Fsin', 'Fcos', 'Fsincos', 'Fptan', 'Fpatan', 'Fyl2x', 'Fyl2xp1', 'F2xm1', 'Fincstp', 'Fdecstp', 'Fnop'])
    define([name],                  plain(name.slice(1).toLowerCase()));
  define(['Wait'],                  plain('nop'));
  define(['Fninit'],                plain('init', false));
  define(['Fnclex'],                plain('clex', false));
  define(['Ffree_sti'],             onRegister('free'));
  define(['Ffreep_sti'],            onRegister('free p'));
  define(['Fldcw_m2byte'],          loadControl);
  define(['Fnstcw_m2byte'],         storeWord(SLOT.FPU_CONTROL));
  define(['Fnstsw_m2byte', 'Fnstsw_AX'], storeWord(SLOT.FPU_STATUS));
  for (const bytes of [14, 28]) {
    define([`Fnstenv_m${bytes}byte`], saveImage(bytes));
    define([`Fldenv_m${bytes}byte`],  restoreImage(bytes));
  }
  for (const bytes of [94, 108]) {
    define([`Fnsave_m${bytes}byte`],  saveImage(bytes));
    define([`Frstor_m${bytes}byte`],  restoreImage(bytes));
  }
};

export const x87: Family = (define) => {
  for (const family of [arithmetic, moves, comparisons, control]) family(define);
};
