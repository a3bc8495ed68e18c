/**
 * The trace for many readers: one reader of the ring, run only while somebody listens, and never long enough at a time to keep
 * the rest of dom0 waiting. The hypervisor is told what somebody wants and writes nothing else; a record that nobody takes is not
 * put into words.
 *
 * Losses are told, whoever causes them: the ring was full (each reader is told of all such records, as nobody knows any more which
 * of them it would have wanted), or a reader does not take its frames (it counts those itself).
 */

import type { Privcmd } from '../../dom0/privcmd.js';
import { decodeTrace, type NameAddress } from '../../dom0/trace-format.js';
import { TraceReader } from '../../dom0/trace-reader.js';
import type { TraceView } from '../../dom0/trace-view.js';
import { NR_HYPERCALLS } from '../../hypervisor/public/hypercalls.js';
import type { TraceFilter } from '../trace/filter.js';
import type { DomainName } from '../trace/recording-format.js';
import { decodeOnce, type TraceDecoder } from '../trace/subject.js';

/** How often the ring is looked at while somebody listens, milliseconds. */
const POLL_MS = 10;
/** A ring that is fuller than this is looked at again at once, but after everybody else. */
const FULL = 1 / 16;
/** How long one look may take, milliseconds. */
const LOOK_MS = 8;
const BATCH = 256;

/** What is done with the records that a listener wants. */
export interface TraceConsumer {
  /** Whether what comes now would be lost: a source that can wait does. */
  readonly full: boolean;
  /** The view is good until this returns. */
  take(view: TraceView): void;
  /** There are no more for now, or a loss comes next. */
  flush(): void;
  /** So many records are missing here. */
  dropped(records: number): void;
}

interface Listener {
  readonly filter: TraceFilter;
  readonly consumer: TraceConsumer;
}

/** The domains there are. */
interface Names {
  /** The domain that a name or uuid means at present. */
  domidOf(id: string): number | undefined;
  named(): readonly DomainName[];
}

/** Where records come from. */
export interface TraceSource {
  /** Takes its records apart for filters and readers. */
  readonly decode: TraceDecoder;
  /** @param ended called once if there are no more; with the reason if that is a mistake. @returns how to stop. */
  subscribe(filter: TraceFilter, consumer: TraceConsumer, ended: Ended): () => void;
}

export type Ended = (problem?: string) => void;

export class TraceFeed implements TraceSource {
  readonly #privcmd: Privcmd;
  readonly #ram: Uint8Array;
  readonly #names: Names;
  readonly #listeners = new Set<Listener>();
  /** How many listeners want each call. */
  readonly #wanted = new Uint32Array(NR_HYPERCALLS);
  /** Takes records apart for filters and readers: each once, whoever asks. */
  readonly decode: TraceDecoder;
  #reader: TraceReader | undefined;
  #timer: NodeJS.Timeout | undefined;
  #reported = 0;
  /** What the hypervisor was told last. */
  #selected = '';

  /** @param nameOf names addresses of domains. */
  constructor(privcmd: Privcmd, ram: Uint8Array, names: Names, nameOf: NameAddress) {
    this.#privcmd = privcmd;
    this.#ram = ram;
    this.#names = names;
    this.decode = decodeOnce((record) => decodeTrace(record, nameOf));
  }

  readonly named = () => this.#names.named();

  subscribe(filter: TraceFilter, consumer: TraceConsumer): () => void {
    const listener = { filter, consumer };
    this.#listeners.add(listener);
    this.#count(filter, 1);
    if (this.#timer === undefined) this.#start();
    this.#select();
    return () => {
      if (this.#listeners.delete(listener)) this.#count(filter, -1);
      this.#select();
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

  #count({ calls }: TraceFilter, more: 1 | -1): void {
    for (const call of calls) this.#wanted[call] = (this.#wanted[call] ?? 0) + more;
  }

  /** The hypervisor writes what somebody wants, and of domains that it has just built. */
  #select(): void {
    const filters = [...this.#listeners].map(({ filter }) => filter);
    for (const filter of filters) filter.refresh((id) => this.#names.domidOf(id));
    const selection = {
      mask: filters.reduce((bits, { mask }) => bits | mask, 0),
      calls: [...this.#wanted.keys()].filter((call) => this.#wanted[call] !== 0),
      except: this.#names
        .named()
        .map(({ domid }) => domid)
        .filter((domid) => !filters.some((filter) => filter.wantsDomain(domid))),
    };
    const text = JSON.stringify(selection);
    if (text === this.#selected) return;
    this.#selected = text;
    this.#privcmd.call('trace', selection).catch(() => undefined);
  }

  #schedule(): void {
    const behind = (this.#reader?.fill ?? 0) > FULL;
    this.#timer = setTimeout(() => this.#look(), behind ? 0 : POLL_MS);
  }

  #look(): void {
    const reader = this.#reader;
    if (reader === undefined) return;
    this.#select();
    const deadline = performance.now() + LOOK_MS;
    for (;;) {
      const seen = reader.visit(BATCH, (view) => this.#offer(view));
      this.#tellLosses(reader);
      for (const { consumer } of this.#listeners) consumer.flush();
      if (seen === 0 || performance.now() > deadline || this.#reader !== reader) break;
    }
    // The last listener may have left, and another come.
    if (this.#reader === reader) this.#schedule();
  }

  #offer(view: TraceView): void {
    for (const { filter, consumer } of this.#listeners) {
      if (filter.wants(view)) consumer.take(view);
    }
  }

  /** The records lost came before those that wait to be flushed. */
  #tellLosses(reader: TraceReader): void {
    const lost = reader.dropped - this.#reported;
    if (lost === 0) return;
    this.#reported = reader.dropped;
    for (const { consumer } of this.#listeners) consumer.dropped(lost);
  }
}
