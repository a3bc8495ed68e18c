/** RAM: one shared WebAssembly.Memory and the typed views on it. */

import { LAYOUT, PAGE_SHIFT, PAGE_SIZE } from './layout.js';
import { asHostAddr, type Frame, type HostAddr } from './types.js';

const WASM_PAGE = 0x1_0000;
const MAX_WASM_PAGES = 0x1_0000;
const ZERO_PAGE = new Uint8Array(PAGE_SIZE);

export class Ram {
  readonly memory: WebAssembly.Memory;
  readonly u8: Uint8Array;
  readonly u16: Uint16Array;
  readonly u32: Uint32Array;
  readonly i32: Int32Array;
  readonly f64: Float64Array;
  readonly u64: BigUint64Array;
  readonly view: DataView;

  /** @param memory a shared memory made by `Ram.allocate`, possibly in another thread. */
  constructor(memory: WebAssembly.Memory) {
    const { buffer } = memory;
    this.memory = memory;
    this.u8 = new Uint8Array(buffer);
    this.u16 = new Uint16Array(buffer);
    this.u32 = new Uint32Array(buffer);
    this.i32 = new Int32Array(buffer);
    this.f64 = new Float64Array(buffer);
    this.u64 = new BigUint64Array(buffer);
    this.view = new DataView(buffer);
  }

  /**
   * Reserves RAM; the host commits a page only when it is first touched.
   * @param bytes of guest memory wanted, besides what the engine needs; at most 4 GiB in all.
   */
  static allocate(bytes: number): Ram {
    const pages = Math.min(Math.ceil((LAYOUT.FRAMES + bytes) / WASM_PAGE), MAX_WASM_PAGES);
    return new Ram(new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true }));
  }

  /** Number of the first frame past the end of RAM. */
  get frameCount(): number {
    return this.u8.length >>> PAGE_SHIFT || WASM_PAGE * (WASM_PAGE / PAGE_SIZE);
  }

  addressOf(frame: Frame): HostAddr {
    return asHostAddr(frame * PAGE_SIZE);
  }

  /** The bytes of one frame, as a view. */
  frameBytes(frame: Frame): Uint8Array {
    return this.u8.subarray(frame * PAGE_SIZE, (frame + 1) * PAGE_SIZE);
  }

  zeroFrame(frame: Frame): void {
    // On shared memory `fill` goes byte by byte; `set` is ten times as fast.
    this.u8.set(ZERO_PAGE, frame * PAGE_SIZE);
  }
}

/** Up to so many bytes go one by one: a view costs more. */
const FEW = 64;

/** Copies bytes within or between memories without a view for a few of them. */
export function copyBytes(
  from: Uint8Array,
  start: number,
  length: number,
  into: Uint8Array,
  at: number,
): void {
  if (length > FEW) into.set(from.subarray(start, start + length), at);
  else for (let n = 0; n < length; n++) into[at + n] = from[start + n] as number;
}
