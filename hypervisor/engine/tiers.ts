/** What runs code of each mode: one WebAssembly module for 64-bit code, others that are made when such code is first met. */

import { FAMILIES, HOST_FUNCTIONS } from '../x86/instructions.js';
import { MODE, type Mode } from '../x86/segment-state.js';
import type { InstructionSet } from './code-cache.js';
import { buildInterpreter, type InterpreterModule } from './module.js';
import { CODE_MODE } from './runtime.js';

export interface TierExports {
  run(budget: number): number;
  /** The same loop, with tests of CR0.TS and CR0.EM: compiled when a guest first sets one of them. */
  runWithoutFpu(budget: number): number;
  translate(low: number, high: number, access: number): number;
  flush(): void;
  flushPage(low: number, high: number): void;
  guard(address: bigint, bytes: number, access: number): number;
}

/** What runs code of one mode. */
export interface Tier extends InstructionSet {
  readonly exports: TierExports;
  /** What a fused case was before. */
  readonly unfused: ReadonlyMap<number, number>;
}

interface Prepared extends InterpreterModule {
  readonly module: WebAssembly.Module;
}

/** Modules by RAM size and mode: emitting and compiling is paid once a process. */
const prepared = new Map<string, Prepared>();

/** By MODE: both segmented ones have one module. */
const CODE_MODES = [CODE_MODE.LONG, CODE_MODE.FLAT, CODE_MODE.SEGMENTED, CODE_MODE.SEGMENTED];

function prepare(memoryPages: number, mode: Mode): Prepared {
  const key = `${memoryPages} ${Math.min(mode, MODE.SEGMENTED)}`;
  const known = prepared.get(key);
  if (known) return known;
  const built = buildInterpreter(FAMILIES, HOST_FUNCTIONS, memoryPages, CODE_MODES[mode]);
  const made = { ...built, module: new WebAssembly.Module(built.bytes) };
  prepared.set(key, made);
  return made;
}

export class Tiers {
  readonly #memoryPages: number;
  readonly #imports: Record<string, WebAssembly.ImportValue>;
  readonly #made: (Tier | undefined)[] = [];

  constructor(memoryPages: number, imports: Record<string, WebAssembly.ImportValue>) {
    this.#memoryPages = memoryPages;
    this.#imports = imports;
  }

  of(mode: Mode): Tier {
    const known = this.#made[mode];
    if (known) return known;
    const { module, table, fusion, unfused } = prepare(this.#memoryPages, mode);
    const instance = new WebAssembly.Instance(module, { env: this.#imports });
    const exports = instance.exports as unknown as TierExports;
    const made = { mode, table, fusion, unfused, exports };
    this.#made[mode] = made;
    return made;
  }
}
