/**
 * Numbers of events, which go on where they were after a restart, however sudden.
 *
 *     on disk: reserved ─────────────────────────────────┐
 *     … 57 58 59 │ (never used if the service is killed) │ the next service starts here …
 *             last
 *
 * They are reserved in blocks, half a block ahead, so that no event waits for the disk. Who was killed leaves a gap; a number is
 * never given twice.
 */

const BLOCK = 10_000;

/** Where the highest reserved number is kept. */
export interface Reservation {
  read(): number;
  /** Resolves when this or a higher number is on disk: one written since is not taken back. */
  raise(number: number): Promise<void>;
  /** Returns when it is on disk. */
  write(number: number): void;
}

export class EventNumbers {
  readonly #reservation: Reservation;
  #last: number;
  #reserved: number;
  /** A block that is on its way to the disk. */
  #coming: Promise<void> | undefined;

  constructor(reservation: Reservation) {
    this.#reservation = reservation;
    this.#last = reservation.read();
    this.#reserved = this.#last + BLOCK;
    reservation.write(this.#reserved);
  }

  /** The newest number given, by this service or one before it; 0 if none ever was. */
  get last(): number {
    return this.#last;
  }

  next(): number {
    if (this.#last >= this.#reserved) this.#reserveNow();
    this.#last += 1;
    if (this.#reserved - this.#last < BLOCK / 2) this.#coming ??= this.#reserveAhead();
    return this.#last;
  }

  /** Gives back what has not been used. No number may be taken after this. */
  async close(): Promise<void> {
    await this.#coming;
    this.#reservation.write(this.#last);
  }

  async #reserveAhead(): Promise<void> {
    const upTo = this.#reserved + BLOCK;
    try {
      await this.#reservation.raise(upTo);
      this.#reserved = Math.max(this.#reserved, upTo);
    } catch {
      // Tried again with the next number, at last by reserveNow, whose error is seen.
    } finally {
      this.#coming = undefined;
    }
  }

  /** More events than the disk is fast. */
  #reserveNow(): void {
    const upTo = this.#reserved + 2 * BLOCK;
    this.#reservation.write(upTo);
    this.#reserved = upTo;
  }
}
