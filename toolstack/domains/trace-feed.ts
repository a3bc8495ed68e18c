/**
 * The trace for many readers: one reader of the ring, run only while somebody listens, and never long enough at a time to keep
 * the rest of dom0 waiting. A record that nobody takes is not put into words.
 *
 * Losses are told, whoever causes them: the ring was overwritten before it was read (each reader is told of all such records, as
 * nobody knows any more which of them it would have wanted), or a reader does not take its frames (it counts those itself).
 */

import type { Privcmd } from '../../dom0/privcmd.js';
import { decodeTrace } from '../../dom0/trace-format.js';
import { TraceReader, type TraceRecord } from '../../dom0/trace-reader.js';
import { encodeTrace } from './trace-binary.js';
import type { TraceFilter } from './trace-filter.js';

/** How often the ring is looked at while somebody listens, milliseconds. */
const POLL_MS = 10;
/** How long one look may take, milliseconds. */
const LOOK_MS = 8;
const BATCH = 128;

/** Whoever listens. */
interface TraceSink {
  /** Whether a record given now would be lost: then it is only counted. */
  readonly full: boolean;
  /** Lines of JSON, one for each of `records`, or their bytes. */
  deliver(frame: string | Uint8Array, records: number): void;
  dropped(records: number): void;
}

interface Listener {
  readonly filter: TraceFilter;
  readonly format: 'json' | 'binary';
  readonly sink: TraceSink;
}

export class TraceFeed {
  readonly #privcmd: Privcmd;
  readonly #ram: Uint8Array;
  readonly #domidOf: (id: string) => number | undefined;
  readonly #listeners = new Set<Listener>();
  #reader: TraceReader | undefined;
  #timer: NodeJS.Timeout | undefined;
  #reported = 0;
  #mask = 0;

  /** @param domidOf the domain that a name or uuid means at present. */
  constructor(privcmd: Privcmd, ram: Uint8Array, domidOf: (id: string) => number | undefined) {
    this.#privcmd = privcmd;
    this.#ram = ram;
    this.#domidOf = domidOf;
  }

  /** @returns how to stop. */
  subscribe(listener: Listener): () => void {
    this.#listeners.add(listener);
    this.#setMask();
    if (this.#timer === undefined) this.#start();
    return () => {
      this.#listeners.delete(listener);
      this.#setMask();
      if (this.#listeners.size === 0) this.close();
    };
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#reader = undefined;
  }

  #start(): void {
    this.#reader = new TraceReader(this.#ram);
    this.#reported = 0;
    this.#schedule();
  }

  /** The hypervisor writes what somebody wants, and nothing else. */
  #setMask(): void {
    const mask = [...this.#listeners].reduce((bits, { filter }) => bits | filter.mask, 0);
    if (mask === this.#mask) return;
    this.#mask = mask;
    this.#privcmd.call('trace', { mask }).catch(() => undefined);
  }

  #schedule(): void {
    // A ring that fills faster than it is emptied is looked at again at once, but after everybody else.
    const behind = (this.#reader?.waiting ?? 0) > BATCH;
    this.#timer = setTimeout(() => this.#look(), behind ? 0 : POLL_MS);
  }

  #look(): void {
    const reader = this.#reader;
    if (reader === undefined) return;
    for (const { filter } of this.#listeners) filter.refresh(this.#domidOf);
    const deadline = performance.now() + LOOK_MS;
    for (;;) {
      const records = reader.read(BATCH);
      this.#tellLosses(reader);
      for (const listener of this.#listeners) deliver(listener, records);
      if (records.length === 0 || performance.now() > deadline) break;
    }
    this.#schedule();
  }

  #tellLosses(reader: TraceReader): void {
    const lost = reader.dropped - this.#reported;
    if (lost === 0) return;
    this.#reported = reader.dropped;
    for (const { sink } of this.#listeners) sink.dropped(lost);
  }
}

/** Text of records that several readers want, made once. */
const lines = new WeakMap<TraceRecord, string>();

function lineOf(record: TraceRecord): string {
  const known = lines.get(record);
  if (known !== undefined) return known;
  const line = JSON.stringify(decodeTrace(record));
  lines.set(record, line);
  return line;
}

function deliver({ filter, format, sink }: Listener, records: readonly TraceRecord[]): void {
  const wanted = records.filter((record) => filter.wants(record));
  if (wanted.length === 0) return;
  if (sink.full) sink.dropped(wanted.length);
  else if (format === 'json') sink.deliver(wanted.map(lineOf).join('\n'), wanted.length);
  else sink.deliver(Buffer.concat(wanted.map(encodeTrace)), wanted.length);
}
