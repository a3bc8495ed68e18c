/**
 * The whole terminal as a page that is drawn again and again, with keys. What was there comes back however xl ends: detached,
 * interrupted, terminated, or by a mistake of ours.
 */

import { writeSync } from 'node:fs';

const ESC = '\x1b[';
const ENTER = `${ESC}?1049h${ESC}?25l`;
const LEAVE = `${ESC}?25h${ESC}?1049l`;
const SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

export class Screen {
  readonly #restore = (): void => {
    process.stdin.setRawMode(false);
    // At the end of a process nothing is written but at once.
    writeSync(process.stdout.fd, LEAVE);
  };
  readonly #ends = Object.entries(SIGNALS).map(
    ([signal, status]) => [signal, () => process.exit(status)] as const,
  );
  readonly #onKeys: (bytes: Buffer) => void;
  readonly #redraw: () => void;

  /** @param redraw is called when the size has changed. */
  constructor(onKey: (key: string) => void, redraw: () => void) {
    this.#onKeys = (bytes) => {
      for (const key of String(bytes).match(/\x1b[[O][A-D]|[\s\S]/g) ?? []) onKey(key);
    };
    this.#redraw = redraw;
    process.on('exit', this.#restore);
    for (const [signal, end] of this.#ends) process.on(signal, end);
    process.stdin.setRawMode(true);
    process.stdin.on('data', this.#onKeys);
    process.stdout.on('resize', this.#redraw);
    process.stdout.write(ENTER);
  }

  get columns(): number {
    return process.stdout.columns || 80;
  }

  get rows(): number {
    return process.stdout.rows || 24;
  }

  /** Lines that are too long are cut off, and so are those below the last row. */
  draw(lines: readonly string[]): void {
    const page = lines.slice(0, this.rows).map((line) => `${line.slice(0, this.columns)}${ESC}K`);
    process.stdout.write(`${ESC}H${page.join('\r\n')}${ESC}J`);
  }

  close(): void {
    process.off('exit', this.#restore);
    for (const [signal, end] of this.#ends) process.off(signal, end);
    process.stdin.off('data', this.#onKeys);
    process.stdin.pause();
    process.stdout.off('resize', this.#redraw);
    this.#restore();
  }
}
