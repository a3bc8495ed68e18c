/** A shell on the console of a domain, spoken to over the WebSocket: commands go in, what they print comes back. */

import { type TestService, TestSocket } from './service.js';

/** bash says when it reads a line and brackets what is pasted; busybox asks where the cursor is. */
const ESCAPES = /\x1b\[[0-9;?]*[A-Za-z]/g;

export class Shell {
  readonly socket: TestSocket;
  readonly #patienceMs: number;

  /**
   * @param id of the domain.
   * @param patienceMs how long a command may take.
   */
  constructor(service: Pick<TestService, 'url'>, id: string, patienceMs: number) {
    this.#patienceMs = patienceMs;
    this.socket = new TestSocket(`${service.url}/v1/domains/${id}/console`);
  }

  /** Everything it has printed, without carriage returns and escape sequences. */
  get output(): string {
    return this.socket.output().replace(ESCAPES, '').replaceAll('\r', '');
  }

  /** Waits until the output from `from` on matches. @throws Error if it does not in time. */
  shows(pattern: RegExp, timeoutMs: number, from = 0): Promise<void> {
    return this.socket.until(
      () => pattern.test(this.output.slice(from)),
      String(pattern),
      timeoutMs,
    );
  }

  /** Types a line. */
  type(line: string): void {
    this.socket.send(`${line}\r`);
  }

  /** What a command prints, and `<done STATUS>`. @throws Error if it does not end in time. */
  async run(command: string): Promise<string> {
    const from = this.output.length;
    this.type(`${command}; echo "<done $?>"`);
    await this.shows(/\n<done \d+>\n/, this.#patienceMs, from);
    return this.output.slice(from);
  }
}
