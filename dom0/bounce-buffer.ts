/** The bounce buffer between backends and granted pages, given out in runs of pages; who finds it full waits its turn. */

const PAGE_SIZE = 4096;

/** A part of the buffer, until it is given back. */
export interface BounceRun {
  /** Offset in the whole buffer, as GrantCopy.at counts. */
  readonly at: number;
  readonly bytes: Uint8Array;
  free(): void;
}

interface Waiting {
  readonly pages: number;
  resolve(run: BounceRun): void;
}

export class BounceBuffer {
  readonly #bytes: Uint8Array;
  /** 1 for a page that is in use. */
  readonly #used: Uint8Array;
  /** First come, first served: a large wish is not starved by small ones. */
  readonly #waiting: Waiting[] = [];
  /** Where to look first: what was freed last is looked at last, so runs find room without a long search. */
  #next = 0;

  /** @param bytes shared with the hypervisor. */
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#used = new Uint8Array(Math.floor(bytes.length / PAGE_SIZE));
  }

  /** Pages there are: no run can be longer. */
  get pages(): number {
    return this.#used.length;
  }

  get freePages(): number {
    return this.#used.reduce((free, used) => free - used, this.#used.length);
  }

  /** Takes a run of adjacent pages. @throws RangeError for 0 pages, or more than there are. */
  take(pages: number): Promise<BounceRun> {
    if (!(pages >= 1 && pages <= this.pages)) {
      return Promise.reject(new RangeError(`a run of ${pages} pages, of ${this.pages} in all`));
    }
    return new Promise((resolve) => {
      this.#waiting.push({ pages, resolve });
      this.#serve();
    });
  }

  #serve(): void {
    for (let head = this.#waiting[0]; head !== undefined; head = this.#waiting[0]) {
      const start = this.#find(head.pages);
      if (start === undefined) return;
      this.#waiting.shift();
      head.resolve(this.#claim(start, head.pages));
    }
  }

  #find(pages: number): number | undefined {
    return this.#search(this.#next, pages) ?? this.#search(0, pages);
  }

  /** The first free run of that length that begins at `from` or later. */
  #search(from: number, pages: number): number | undefined {
    let start = from;
    while (start + pages <= this.pages) {
      const used = this.#used.subarray(start, start + pages).lastIndexOf(1);
      if (used < 0) return start;
      start += used + 1;
    }
    return undefined;
  }

  #claim(start: number, pages: number): BounceRun {
    const at = start * PAGE_SIZE;
    this.#used.fill(1, start, start + pages);
    this.#next = start + pages;
    let isFree = false;
    const free = (): void => {
      if (isFree) return;
      isFree = true;
      this.#used.fill(0, start, start + pages);
      this.#serve();
    };
    return { at, bytes: this.#bytes.subarray(at, at + pages * PAGE_SIZE), free };
  }
}
