/** The hypervisor's log, `xl dmesg`: the last bytes of text, older lines dropped whole. */

const CAPACITY = 128 * 1024;

export class ConsoleRing {
  #lines: string[] = [];
  #size = 0;

  /** Appends one line, without its newline. */
  append(line: string): void {
    this.#lines.push(line);
    this.#size += line.length + 1;
    if (this.#size > CAPACITY * 2) this.#trim();
  }

  read(): string {
    this.#trim();
    return this.#lines.map((line) => `${line}\n`).join('');
  }

  clear(): void {
    this.#lines = [];
    this.#size = 0;
  }

  /** Done in bulk, so that appending is cheap. */
  #trim(): void {
    let first = 0;
    while (this.#size > CAPACITY) this.#size -= (this.#lines[first++]?.length ?? 0) + 1;
    this.#lines.splice(0, first);
  }
}
