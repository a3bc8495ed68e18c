/** Makes the WebAssembly module of the interpreter out of the definitions of instructions. */

import type { CodeMode } from '../x86/builder.js';
import { collect, type Family } from '../x86/define.js';
import type { HostImplementation } from '../x86/host-functions.js';
import { buildCases, type CaseTable } from './cases.js';
import { findFusions } from './fusion.js';
import { COLD_SIGNATURE, emitCold, emitInterpreter, RUN_SIGNATURE } from './interpreter.js';
import { emitInternal } from './mmu.js';
import { PSEUDO } from './record.js';
import {
  CODE_MODE,
  INTERNAL_SIGNATURES,
  type InternalFunction,
  type InternalName,
  type Runtime,
} from './runtime.js';
import { WasmModule } from './wasm-module.js';

export interface InterpreterModule {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly table: CaseTable;
  /** Pairs of case numbers, first * 65536 + second, to the case that does both. */
  readonly fusion: ReadonlyMap<number, number>;
  /** What a fused case was before. */
  readonly unfused: ReadonlyMap<number, number>;
}

/** What the module imports besides host functions. */
export const HYPERVISOR_RANGE = 'hypervisorRange';

/** @param memoryPages size of RAM in units of 64 KiB. @param mode for which code. */
export function buildInterpreter(
  families: readonly Family[],
  hostFunctions: readonly HostImplementation[],
  memoryPages: number,
  mode: CodeMode = CODE_MODE.LONG,
): InterpreterModule {
  const table = buildCases(collect(families, mode.bits), PSEUDO.COUNT, !mode.isSegmented);
  const next = PSEUDO.COUNT + table.hot.length;
  const fusion = mode.isSegmented ? [] : findFusions(table, next, mode.bits);
  const module = new WasmModule();
  const runtime = declareRuntime(module, hostFunctions, mode);
  const run = module.declare(RUN_SIGNATURE);
  const runWithoutFpu = module.declare(RUN_SIGNATURE);
  for (const name of Object.keys(INTERNAL_SIGNATURES) as InternalName[]) {
    module.define(runtime.internal[name].index, emitInternal(name, runtime));
    module.export(name, runtime.internal[name].index);
  }
  const cold = table.cold.map((item) => {
    const index = module.declare(COLD_SIGNATURE);
    module.define(index, emitCold(item, runtime));
    return index;
  });
  module.setTable(cold);
  const coldType = module.type(COLD_SIGNATURE);
  const parts = { runtime, hot: table.hot, fused: fusion, coldType };
  module.define(run, emitInterpreter({ ...parts, hasFpu: true }));
  module.export('run', run);
  module.define(runWithoutFpu, emitInterpreter({ ...parts, hasFpu: false }));
  module.export('runWithoutFpu', runWithoutFpu);
  return {
    bytes: module.toBytes(memoryPages),
    table,
    fusion: new Map(fusion.map(({ pair, number }) => [pair, number])),
    unfused: new Map(fusion.map(({ pair, number }) => [number, Math.floor(pair / 65536)])),
  };
}

/** Declares what semantics may call: host functions as imports, internal functions to be defined. */
export function declareRuntime(
  module: WasmModule,
  hostFunctions: readonly HostImplementation[],
  mode: CodeMode = CODE_MODE.LONG,
): Runtime {
  const host = new Map<string, number>();
  const range = { params: ['i32', 'i32', 'i32'], results: ['i32'] } as const;
  host.set(HYPERVISOR_RANGE, module.import(HYPERVISOR_RANGE, range));
  for (const { name, params, result } of hostFunctions) {
    host.set(name, module.import(name, { params, results: result ? [result] : [] }));
  }
  const internal: Partial<Record<InternalName, InternalFunction>> = {};
  for (const name of Object.keys(INTERNAL_SIGNATURES) as InternalName[]) {
    const signature = INTERNAL_SIGNATURES[name];
    internal[name] = { index: module.declare(signature), signature };
  }
  return { host, internal: internal as Runtime['internal'], mode };
}
