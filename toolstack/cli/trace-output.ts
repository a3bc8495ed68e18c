/** Where xl trace puts what it is told, and in which form: lines of text or JSON, a document for Perfetto, a table. */

import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import type { Writable } from 'node:stream';
import type { TraceSummary } from '../schemas/trace.js';
import { PerfettoText, type ShownEvent } from '../trace/perfetto.js';
import type { DomainName } from '../trace/recording-format.js';
import { UserError } from './client.js';
import { summaryTable } from './trace-table.js';

const NS = 1e9;

/** Standard output, or a file. */
export class Output {
  readonly #stream: Writable;
  readonly #isFile: boolean;
  #problem: Error | undefined;

  /** @param path standard output if absent. */
  constructor(path?: string) {
    this.#isFile = path !== undefined;
    this.#stream = path === undefined ? process.stdout : createWriteStream(path);
    this.#stream.on('error', (error: NodeJS.ErrnoException) => {
      // Who has read enough of a pipe closes it.
      if (!this.#isFile && error.code === 'EPIPE') process.exit(0);
      this.#problem ??= error;
    });
  }

  /** Resolves when more can be taken. */
  async write(bytes: string | Uint8Array): Promise<void> {
    this.#check();
    if (this.#stream.write(bytes)) return;
    await Promise.race([once(this.#stream, 'drain'), once(this.#stream, 'close')]);
    this.#check();
  }

  async end(): Promise<void> {
    if (!this.#isFile) return;
    this.#stream.end();
    if (!this.#stream.closed) await once(this.#stream, 'close').catch(() => undefined);
    this.#check();
  }

  #check(): void {
    if (this.#problem !== undefined) throw new UserError(this.#problem.message);
  }
}

/** Records one after the other in some form: each gives the text to write. */
export interface Form {
  event(event: ShownEvent): string;
  dropped(records: number): string;
  /** @param domains whose names are known. */
  end(domains: readonly DomainName[]): string;
}

export const jsonForm = (): Form => ({
  event: (event) => `${JSON.stringify(event)}\n`,
  dropped: (records) => `${JSON.stringify({ dropped: records })}\n`,
  end: () => '',
});

/** @param withTime begin with the time since the host started. */
export const textForm = (withTime: boolean): Form => ({
  event: ({ text, time }) => (withTime ? `${(time / NS).toFixed(6)} ${text}\n` : `${text}\n`),
  dropped: (records) => `… ${records} records dropped …\n`,
  end: () => '',
});

export function perfettoForm(): Form {
  const perfetto = new PerfettoText();
  let begin = perfetto.begin();
  const begun = (text: string): string => {
    const whole = begin + text;
    begin = '';
    return whole;
  };
  return {
    event: (event) => begun(perfetto.event(event)),
    dropped: (records) => begun(perfetto.dropped(records)),
    end: (domains) => begun(perfetto.end(domains)),
  };
}

export const summaryText = (summary: TraceSummary, isJson: boolean): string =>
  `${isJson ? JSON.stringify(summary, null, 2) : summaryTable(summary)}\n`;
