/** Timers: a binary min-heap keyed by system time in nanoseconds. */

export class Timer {
  /** System time at which it fires; meaningless while not armed. */
  at = 0;
  /** Place in the heap, -1 while not armed. */
  index = -1;
  readonly fire: () => void;

  constructor(fire: () => void) {
    this.fire = fire;
  }

  get armed(): boolean {
    return this.index >= 0;
  }
}

export class Timers {
  readonly #heap: Timer[] = [];

  /** System time of the next timer, Infinity if none is armed. */
  get next(): number {
    return this.#heap[0]?.at ?? Number.POSITIVE_INFINITY;
  }

  get size(): number {
    return this.#heap.length;
  }

  /** Arms the timer, or moves it if it is armed. */
  set(timer: Timer, at: number): void {
    timer.at = at;
    if (timer.index < 0) {
      timer.index = this.#heap.length;
      this.#heap.push(timer);
    }
    this.#down(this.#up(timer));
  }

  cancel(timer: Timer): void {
    if (timer.index < 0) return;
    const { index } = timer;
    const last = this.#heap.pop();
    timer.index = -1;
    if (last === undefined || last === timer) return;
    this.#place(last, index);
    this.#down(this.#up(last));
  }

  /** Fires every timer that is due at `now`, in order. A handler may arm timers, its own as well. */
  expire(now: number): void {
    for (let first = this.#heap[0]; first && first.at <= now; first = this.#heap[0]) {
      this.cancel(first);
      first.fire();
    }
  }

  #place(timer: Timer, index: number): void {
    this.#heap[index] = timer;
    timer.index = index;
  }

  #up(timer: Timer): Timer {
    while (timer.index > 0) {
      const parent = this.#heap[(timer.index - 1) >> 1];
      if (!parent || parent.at <= timer.at) break;
      this.#swap(timer, parent);
    }
    return timer;
  }

  #down(timer: Timer): void {
    for (;;) {
      const left = this.#heap[timer.index * 2 + 1];
      const right = this.#heap[timer.index * 2 + 2];
      const child = right && left && right.at < left.at ? right : left;
      if (!child || child.at >= timer.at) return;
      this.#swap(child, timer);
    }
  }

  #swap(a: Timer, b: Timer): void {
    const { index } = a;
    this.#place(a, b.index);
    this.#place(b, index);
  }
}
