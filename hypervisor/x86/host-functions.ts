/** Functions of the host that generated code calls: rare and complicated instructions, and mathematics. */

import type { Ram } from '../machine/ram.js';
import type { VirtAddr } from '../machine/types.js';
import type { HostFunction, Type } from './builder.js';
import type { ProcessorHost } from './processor.js';
import type { Registers } from './registers.js';

/** What a host function may use. */
export interface Machine {
  readonly ram: Ram;
  readonly registers: Registers;
  readonly host: ProcessorHost;
  /**
   * Byte address in RAM for `bytes` at an address, which may cross a page (then only a copy for READ).
   * -1 if it faults: the fault is recorded, return OUTCOME.EXIT_BEFORE.
   */
  translate(va: VirtAddr, access: number): number;
  /**
   * To be called before accesses by `translate`: false if it is misaligned and that matters, or is watched and the instruction
   * has to be run alone. Return OUTCOME.EXIT_BEFORE then.
   */
  mayAccess(va: VirtAddr, bytes: number, access: number): boolean;
  /** To be called after writing at a byte address of RAM: decoded code there is dropped after the instruction. */
  written(at: number): void;
  /** Records an exception. @returns OUTCOME.EXIT_BEFORE, for the host function to return. */
  raise(vector: number, errorCode: number): number;
  /** After the mode was changed: the instruction is over, and the engine looks at the mode again. @returns the outcome to return. */
  resyncAfter(): number;
  /** After SLOT.RIP and rflags were changed. @returns the outcome to return. */
  resync(): number;
}

export interface HostImplementation extends HostFunction {
  /** i64 parameters and results are avoided: use i32, f64, or fields of the state. */
  readonly implement: (machine: Machine) => (...args: number[]) => number;
}

/** Declares a host function; list it in HOST_FUNCTIONS of instructions.ts. */
export function hostFunction(
  name: string,
  params: readonly Type[],
  result: Type,
  implement: HostImplementation['implement'],
): HostImplementation {
  return { name, params, result, implement };
}
