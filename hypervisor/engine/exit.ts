/** Details of the last exit, as generated code left them in the state. */

import type { Ram } from '../machine/ram.js';
import { asVirtAddr, type VirtAddr } from '../machine/types.js';
import type { ExitDetail } from '../x86/processor.js';
import { SLOT } from '../x86/state.js';

const TWO_32 = 0x1_0000_0000;

export class Exit implements ExitDetail {
  readonly #ram: Ram;

  constructor(ram: Ram) {
    this.#ram = ram;
  }

  get vector(): number {
    return this.#ram.u32[SLOT.EXIT_VECTOR / 4] ?? 0;
  }
  get errorCode(): number {
    return this.#ram.u32[SLOT.EXIT_ERROR / 4] ?? 0;
  }
  get cr2(): VirtAddr {
    const { i32, u32 } = this.#ram;
    const high = i32[SLOT.EXIT_CR2 / 4 + 1] ?? 0;
    return asVirtAddr(high * TWO_32 + (u32[SLOT.EXIT_CR2 / 4] ?? 0));
  }
  get length(): number {
    return this.#ram.u32[SLOT.EXIT_LENGTH / 4] ?? 0;
  }
  get code(): number {
    return this.#ram.u32[SLOT.EXIT_CODE / 4] ?? 0;
  }
  get debugStatus(): number {
    return this.#ram.u32[SLOT.DEBUG_STATUS / 4] ?? 0;
  }
}
