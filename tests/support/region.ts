/**
 * A region: straight-line code translated from the same definitions that the interpreter is made of, with operands
 * that are constants. Small and without control flow; it shows that semantics are written once.
 */

import { Code, Decoder, DecoderOptions } from 'iced-x86';
import { buildCases, type Case } from '../../hypervisor/engine/cases.js';
import { FunctionEnds } from '../../hypervisor/engine/ends.js';
import { InstructionBuilder } from '../../hypervisor/engine/instruction-builder.js';
import type { IntegerBuilder } from '../../hypervisor/engine/integer-builder.js';
import { inMemory } from '../../hypervisor/engine/interpreter.js';
import { emitInternal } from '../../hypervisor/engine/mmu.js';
import { declareRuntime } from '../../hypervisor/engine/module.js';
import {
  type OperandSource,
  operandList,
  type PlacedOperand,
} from '../../hypervisor/engine/operands.js';
import { RECORD } from '../../hypervisor/engine/record.js';
import { RecordWriter } from '../../hypervisor/engine/record-writer.js';
import { INTERNAL_SIGNATURES, type InternalName } from '../../hypervisor/engine/runtime.js';
import { WasmModule } from '../../hypervisor/engine/wasm-module.js';
import { LAYOUT } from '../../hypervisor/machine/layout.js';
import type { Ram } from '../../hypervisor/machine/ram.js';
import { OUTCOME, type Value } from '../../hypervisor/x86/builder.js';
import { collect } from '../../hypervisor/x86/define.js';
import { FAMILIES, HOST_FUNCTIONS } from '../../hypervisor/x86/instructions.js';
import { SLOT } from '../../hypervisor/x86/state.js';

/** A record above the scratch area, only ever read while code is emitted. */
const RECORD_AT = LAYOUT.SCRATCH + 0x1400;
const REGION_SIGNATURE = { params: [], results: ['i32'] } as const;

/** Operands of a record that is read now, not at run time. */
class ConstOperands implements OperandSource {
  readonly #b: IntegerBuilder;
  readonly #ram: Ram;

  constructor(b: IntegerBuilder, ram: Ram) {
    this.#b = b;
    this.#ram = ram;
  }

  slot({ field }: PlacedOperand): Value {
    if (field === 'dst') return this.#b.const(32, this.#u16(RECORD.DST));
    return this.#b.const(32, this.#ram.u32[(RECORD_AT + RECORD.SRC) / 4]!);
  }

  constant({ field, bits }: PlacedOperand): Value | undefined {
    const source = this.#ram.u32[(RECORD_AT + RECORD.SRC) / 4];
    const isImmediate = field === 'imm' || (field === 'src' && source === RECORD_AT + RECORD.IMM);
    if (!isImmediate) return undefined;
    return this.#b.const(bits, BigInt.asUintN(bits, this.#immediate));
  }

  offset({ shape }: PlacedOperand, plus?: Value): Value {
    const b = this.#b;
    const offset = this.#offset(shape);
    return plus ? b.add(offset, plus) : offset;
  }

  #offset(shape: PlacedOperand['shape']): Value {
    const b = this.#b;
    const disp = b.const(64, this.#ram.i32[(RECORD_AT + RECORD.DISP) / 4]!);
    const withBase = b.add(this.#register(RECORD.BASE), disp);
    if (shape === 'base') return withBase;
    const scale = this.#ram.u8[RECORD_AT + RECORD.SCALE]!;
    return b.add(withBase, b.shl(this.#register(RECORD.INDEX), scale));
  }

  segment(): Value {
    return this.#b.const(32, this.#u16(RECORD.SEGMENT));
  }

  target(): Value {
    return this.#b.add(this.#page(), this.#b.const(64, this.#immediate));
  }

  rip(): Value {
    return this.#b.add(this.#page(), this.#b.const(64, this.#u16(RECORD.OFFSET) & 0xfff));
  }

  nextRip(): Value {
    const word = this.#u16(RECORD.OFFSET);
    return this.#b.add(this.#page(), this.#b.const(64, (word & 0xfff) + (word >>> 12)));
  }

  #page(): Value {
    return this.#b.hostLoad(this.#b.const(32, SLOT.PAGE_VA), 'i64');
  }

  #register(field: number): Value {
    return this.#b.hostLoad(this.#b.const(32, this.#u16(field) || SLOT.ZERO), 'i64');
  }

  get #immediate(): bigint {
    return this.#ram.u64[(RECORD_AT + RECORD.IMM) / 8]!;
  }

  #u16(field: number): number {
    return this.#ram.u16[(RECORD_AT + field) / 2]!;
  }
}

/** In a region a fault leaves rip at the instruction. */
class RegionEnds extends FunctionEnds {
  readonly #b: InstructionBuilder;
  readonly #source: OperandSource;

  constructor(b: InstructionBuilder, source: OperandSource) {
    super(b, source);
    this.#b = b;
    this.#source = source;
  }

  override fault(): void {
    this.#b.setState(SLOT.RIP, this.#source.rip());
    super.fault();
  }
}

/** Translates code that lies at the start of a page. @returns a function that runs it: an OUTCOME. */
export function translateRegion(ram: Ram, code: Uint8Array): () => number {
  const table = buildCases(collect(FAMILIES), 0);
  const all: Case[] = [];
  table.hot.forEach((item, i) => {
    all[i] = item;
  });
  table.cold.forEach((item, i) => {
    all[4096 + i] = item;
  });
  const module = new WasmModule();
  const runtime = declareRuntime(module, HOST_FUNCTIONS);
  for (const name of Object.keys(INTERNAL_SIGNATURES) as InternalName[]) {
    module.define(runtime.internal[name].index, emitInternal(name, runtime));
  }
  const b = new InstructionBuilder(REGION_SIGNATURE, [], runtime, inMemory);
  const writer = new RecordWriter(ram);
  const decoder = new Decoder(64, code, DecoderOptions.None);
  while (decoder.canDecode) {
    const instruction = decoder.decode();
    const entry = table.codes[instruction.code];
    if (!entry) throw new Error(`no definition for ${Code[instruction.code]}`);
    writer.write(RECORD_AT, instruction, entry, false);
    const item = all[ram.u16[(RECORD_AT + RECORD.OP) / 2]!]!;
    const source = new ConstOperands(b, ram);
    b.begin(source, new RegionEnds(b, source));
    b.flags.forget();
    item.definition.body(b, operandList(item.operands, item.form));
    instruction.free();
  }
  decoder.free();
  b.return(b.const(32, OUTCOME.NEXT));
  const region = module.declare(REGION_SIGNATURE);
  module.define(region, b.body());
  module.export('region', region);
  const env: Record<string, WebAssembly.ImportValue> = {
    memory: ram.memory,
    hypervisorRange: () => 0,
    unshare: () => undefined,
  };
  for (const { name } of HOST_FUNCTIONS) env[name] = () => 0;
  const bytes = module.toBytes(ram.u8.length / 0x1_0000);
  const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes), { env });
  return instance.exports['region'] as () => number;
}
