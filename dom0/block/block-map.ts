/** Where each block of an overlaid disk is. Kept in pages that exist only where a block is not in the base. */

export const BLOCK = {
  /** In the base image. */
  BASE: 0,
  /** In the overlay. */
  HERE: 1,
  /** Nowhere: it was discarded and reads as zeros. */
  ZEROS: 2,
} as const;
export type BlockState = (typeof BLOCK)[keyof typeof BLOCK];

const PAGE = 4096;
const STATES = new Set<number>(Object.values(BLOCK));

export interface BlockRun {
  readonly state: BlockState;
  readonly first: number;
  /** Behind the last. */
  readonly end: number;
}

export class BlockMap {
  readonly #pages = new Map<number, Uint8Array>();

  get(block: number): BlockState {
    return (this.#pages.get(Math.floor(block / PAGE))?.[block % PAGE] ?? BLOCK.BASE) as BlockState;
  }

  set(first: number, end: number, state: BlockState): void {
    for (let block = first; block < end; block += 1) {
      const number = Math.floor(block / PAGE);
      const page = this.#pages.get(number) ?? new Uint8Array(PAGE);
      this.#pages.set(number, page);
      page[block % PAGE] = state;
    }
  }

  /** Takes over a part of the map as the file has it. @returns false if there is a state in it that is none. */
  load(first: number, states: Uint8Array): boolean {
    for (const [n, state] of states.entries()) {
      if (!STATES.has(state)) return false;
      if (state !== BLOCK.BASE) this.set(first + n, first + n + 1, state as BlockState);
    }
    return true;
  }

  isHere(first: number, end: number): boolean {
    return this.runs(first, end).every(({ state }) => state === BLOCK.HERE);
  }

  /** Blocks of the same state in a row, as one. */
  runs(first: number, end: number): BlockRun[] {
    const runs: BlockRun[] = [];
    for (let at = first; at < end; ) {
      const state = this.get(at);
      const start = at;
      while (at < end && this.get(at) === state) at += 1;
      runs.push({ state, first: start, end: at });
    }
    return runs;
  }
}
