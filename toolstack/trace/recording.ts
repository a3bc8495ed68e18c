/** A recording as it is read: records and gaps in order, from bytes that come in pieces. What is damaged is told with its place. */

import { decodeTrace, type TraceEvent } from '../../dom0/trace-format.js';
import { TraceSequence, TraceView } from '../../dom0/trace-view.js';
import {
  TRACE_HEAD_SIZE,
  TRACE_KIND,
  TRACE_UNIT,
  traceRecord,
} from '../../hypervisor/public/trace.js';
import type { TraceFilter } from './filter.js';
import {
  type DomainName,
  MAGIC,
  MOST_HEAD,
  NOTE,
  type Note,
  PREFIX_SIZE,
  type RecordingHead,
  VERSION,
} from './recording-format.js';
import { decodeOnce, type TraceDecoder } from './subject.js';

/** A file that is no recording, or one that is damaged. */
export class RecordingError extends Error {
  override readonly name = 'RecordingError';

  /** @param at byte of the file. */
  constructor(at: number, what: string) {
    super(`at byte ${at}: ${what}`);
  }
}

/** A record is good until the next is asked for; its event is made when it is asked for. */
export type Played =
  | { readonly kind: 'record'; readonly view: TraceView; readonly event: TraceEvent }
  | { readonly kind: 'dropped'; readonly records: number };

const { offset } = traceRecord;
const KINDS: ReadonlySet<number> = new Set([
  ...[TRACE_KIND.HYPERCALL, TRACE_KIND.WHY, TRACE_KIND.FAULT, TRACE_KIND.SWITCH],
  ...[TRACE_KIND.DOMAIN, NOTE],
]);
const decoder = new TextDecoder();

export class Recording {
  readonly #chunks: AsyncIterable<Uint8Array>;
  readonly #sequence = new TraceSequence();
  readonly #domains = new Map<number, DomainName>();
  /** By domid and address. */
  readonly #symbols = new Map<string, string>();
  readonly decode: TraceDecoder = decodeOnce((record) =>
    decodeTrace(record, (domid, address) => this.#symbols.get(`${domid} ${hex(address)}`)),
  );
  /** Of the file, at which what is in hand begins. */
  #at = 0;
  #rest = new Uint8Array(0);
  #head: RecordingHead | undefined;
  /** Changes when a domain gets a name. */
  #names = 0;

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks;
  }

  /** Domains that have been named so far. */
  get domains(): readonly DomainName[] {
    return [...this.#domains.values()];
  }

  /**
   * What the filter wants, and all gaps. Throws RecordingError where there is no recording, where it is damaged, and where it ends within a record:
   * what was whole before has come then.
   */
  async *play(filter: TraceFilter): AsyncGenerator<Played> {
    let names = -1;
    for await (const chunk of this.#chunks) {
      for (const played of this.#take(chunk)) {
        if (names !== this.#names) filter.refresh((id) => this.#domidOf(id));
        names = this.#names;
        if (played.kind === 'dropped' || filter.wants(played.view)) yield played;
      }
    }
    if (this.#head === undefined) throw new RecordingError(0, 'this is no recording of the trace');
    if (this.#rest.length > 0) throw new RecordingError(this.#at, 'the file ends within a record');
  }

  #domidOf(id: string): number | undefined {
    return this.domains.findLast(({ name, uuid }) => name === id || uuid === id.toLowerCase())
      ?.domid;
  }

  *#take(chunk: Uint8Array): Generator<Played> {
    const bytes = joined(this.#rest, chunk);
    const view = new TraceView(bytes);
    const start = this.#at;
    let at = this.#head === undefined ? this.#readHead(bytes) : 0;
    while (this.#head !== undefined && at + TRACE_HEAD_SIZE <= bytes.length) {
      this.#at = start + at;
      const size = this.#sizeAt(bytes, at);
      if (at + size > bytes.length) break;
      view.moveTo(at);
      at += size;
      const played = this.#played(view);
      if (played !== undefined) yield played;
    }
    this.#at = start + at;
    this.#rest = bytes.slice(at);
  }

  /** @returns undefined for what only tells something of others. */
  #played(view: TraceView): Played | undefined {
    if (view.kind === TRACE_KIND.WHY) {
      this.#sequence.keepReason(view);
      return undefined;
    }
    if (view.kind === NOTE) return this.#note(view);
    this.#sequence.take(view);
    const { decode } = this;
    return {
      kind: 'record',
      view,
      get event() {
        return decode(view.record);
      },
    };
  }

  #note(view: TraceView): Played | undefined {
    const note = this.#json(view.text, isNote);
    if ('dropped' in note) return { kind: 'dropped', records: note.dropped };
    if ('domain' in note) this.#name(note.domain);
    if ('symbol' in note) {
      const { domid, address, name } = note.symbol;
      this.#symbols.set(`${domid} ${address}`, name);
    }
    return undefined;
  }

  #name(domain: DomainName): void {
    this.#domains.set(domain.domid, domain);
    this.#names += 1;
  }

  /** @returns where the records begin; 0 if the head is not whole yet. */
  #readHead(bytes: Uint8Array): number {
    const magic = decoder.decode(bytes.subarray(0, MAGIC.length));
    if (!MAGIC.startsWith(magic)) throw new RecordingError(0, 'this is no recording of the trace');
    if (bytes.length < PREFIX_SIZE) return 0;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const version = view.getUint32(MAGIC.length, true);
    if (version !== VERSION) {
      const what = `the recording is of version ${version}, ${VERSION} can be read`;
      throw new RecordingError(MAGIC.length, what);
    }
    const size = view.getUint32(MAGIC.length + 4, true);
    if (size > MOST_HEAD || (PREFIX_SIZE + size) % TRACE_UNIT !== 0) {
      throw new RecordingError(MAGIC.length + 4, `a head has no ${size} bytes`);
    }
    if (bytes.length < PREFIX_SIZE + size) return 0;
    this.#at = PREFIX_SIZE;
    this.#head = this.#json(
      decoder.decode(bytes.subarray(PREFIX_SIZE, PREFIX_SIZE + size)),
      isHead,
    );
    for (const domain of this.#head.domains) this.#name(domain);
    return PREFIX_SIZE + size;
  }

  #json<T>(text: string, is: (value: unknown) => value is T): T {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      value = undefined;
    }
    if (!is(value)) throw new RecordingError(this.#at, 'what should be JSON is damaged');
    return value;
  }

  /** Bytes of the record. */
  #sizeAt(bytes: Uint8Array, at: number): number {
    const view = new DataView(bytes.buffer, bytes.byteOffset + at, TRACE_HEAD_SIZE);
    const kind = view.getUint8(offset.kind);
    const size = view.getUint16(offset.units, true) * TRACE_UNIT;
    const input = (view.getUint16(offset.inLength, true) + 7) & ~7;
    const payload = input + view.getUint16(offset.outLength, true);
    const room = size - TRACE_HEAD_SIZE;
    if (!KINDS.has(kind)) throw new RecordingError(this.#at, `there is no record of kind ${kind}`);
    if (room < 0 || payload > room) {
      const what = `a record of ${size} bytes cannot hold ${payload} behind its head`;
      throw new RecordingError(this.#at, what);
    }
    return size;
  }
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(a.length + b.length);
  bytes.set(a);
  bytes.set(b, a.length);
  return bytes;
}

const hex = (value: bigint): string => `0x${value.toString(16)}`;

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null;

const isDomain = (value: unknown): value is DomainName =>
  isObject(value) &&
  typeof value['domid'] === 'number' &&
  typeof value['name'] === 'string' &&
  typeof value['uuid'] === 'string';

const isHead = (value: unknown): value is RecordingHead =>
  isObject(value) && Array.isArray(value['domains']) && value['domains'].every(isDomain);

/** A note that is not known is one as well. */
const isNote = (value: unknown): value is Note =>
  isObject(value) &&
  (!('dropped' in value) || typeof value['dropped'] === 'number') &&
  (!('domain' in value) || isDomain(value['domain'])) &&
  (!('symbol' in value) || isObject(value['symbol']));
