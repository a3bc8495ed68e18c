/** What operands a form of an instruction has, as far as its code alone tells. */

import { type Code, CodeExt, MemorySizeExt, OpCodeOperandKind } from 'iced-x86';

/**
 * One operand of a form; `memoryBits` where it is or may be memory. 'stack-index' is ST(i), given to the semantics
 * as the immediate i; a branch with 16-bit operands gets its 'distance', as an immediate too; 'implied' operands are not given.
 */
export interface OperandKind {
  readonly kind:
    | 'register'
    | 'memory'
    | 'absolute'
    | 'either'
    | 'immediate'
    | 'target'
    | 'distance'
    | 'far-pointer'
    | 'stack-index'
    | 'implied'
    | 'string-source'
    | 'string-target';
  readonly bits: number;
  readonly memoryBits: number;
}

type Row = readonly [kind: OperandKind['kind'], bits: number];

// biome-ignore format: one row per width
const ROWS: readonly (readonly [row: Row, names: string])[] = [
  [['either', 8],       'r8_or_mem'],
  [['either', 16],      'r16_or_mem'],
  [['either', 32],      'r32_or_mem'],
  [['either', 64],      'r64_or_mem mm_or_mem'],
  [['either', 128],     'xmm_or_mem'],
  [['register', 8],     'r8_reg r8_opcode al cl'],
  [['register', 16],    'r16_reg r16_reg_mem r16_rm r16_opcode ax dx seg_reg es cs ss ds fs gs'],
  [['register', 32],    'r32_reg r32_reg_mem r32_rm r32_opcode eax'],
  [['register', 64],    'r64_reg r64_reg_mem r64_rm r64_opcode rax mm_reg mm_rm cr_reg dr_reg tr_reg'],
  [['implied', 80],     'st0'],
  [['stack-index', 8],  'sti_opcode'],
  [['register', 128],   'xmm_reg xmm_rm'],
  [['memory', 0],       'mem'],
  [['absolute', 0],     'mem_offs'],
  [['immediate', 8],    'imm8 imm8_const_1'],
  [['immediate', 16],   'imm16 imm8sex16'],
  [['immediate', 32],   'imm32 imm8sex32'],
  [['immediate', 64],   'imm64 imm32sex64 imm8sex64'],
  [['target', 64],      'br64_1 br64_4 br32_1 br32_4'],
  [['distance', 16],    'br16_1 br16_2'],
  [['far-pointer', 64], 'farbr2_2 farbr4_2'],
  [['string-source', 0], 'seg_rSI seg_rBX_al seg_rDI'],
  [['string-target', 0], 'es_rDI'],
];

const KINDS: ReadonlyMap<number, Row> = new Map(
  ROWS.flatMap(([row, names]) =>
    names
      .split(' ')
      .map((name) => [OpCodeOperandKind[name as keyof typeof OpCodeOperandKind], row] as const),
  ),
);

/**
 * The operands of a form in the manual's order.
 * @throws for operands that no instruction of this processor has (AVX and the like).
 */
export function operandKinds(code: Code): OperandKind[] {
  const info = CodeExt.opCode(code);
  const memoryBits = MemorySizeExt.size(info.memorySize) * 8;
  const kinds: OperandKind[] = [];
  for (let i = 0; i < info.opCount; i++) {
    const row = KINDS.get(info.opKind(i));
    if (!row) throw new Error(`operand ${i} of ${info.instructionString} is of no known kind`);
    const [kind, bits] = row;
    kinds.push({ kind, bits: bits || memoryBits, memoryBits: memoryBits || bits });
  }
  info.free();
  return kinds;
}
