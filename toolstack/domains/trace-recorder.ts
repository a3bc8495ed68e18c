/** Records as the bytes of a recording: what they need to be understood elsewhere comes before them as notes. */

import { recordBytes } from '../../dom0/trace-binary.js';
import type { TraceView } from '../../dom0/trace-view.js';
import { type DomainName, headBytes, noteBytes } from '../trace/recording-format.js';
import type { TraceSink } from './trace-consumers.js';
import type { TraceConsumer } from './trace-feed.js';

/** How much a recording may be. */
export interface RecordingBounds {
  /** Bytes that there is room for. */
  readonly room: number;
  /** The next record would not fit: nothing more is taken. */
  exhausted(): void;
}

const BOUNDLESS: RecordingBounds = {
  room: Number.POSITIVE_INFINITY,
  exhausted: () => undefined,
};

/** What domains are called now. */
export type NamedDomains = () => readonly DomainName[];

/** @param sink where a gap becomes a note. */
export function recordingConsumer(
  sink: TraceSink,
  named: NamedDomains,
  bounds = BOUNDLESS,
): TraceConsumer {
  const known = new Set<number>();
  let waiting: Uint8Array[] = [];
  let [bytes, records, missed] = [0, 0, 0];
  /** @param size bytes of all the parts. */
  const put = (parts: readonly Uint8Array[], size: number): void => {
    waiting.push(...parts);
    bytes += size;
  };
  const domains = named();
  for (const { domid } of domains) known.add(domid);
  const head = headBytes({ startedAt: new Date().toISOString(), domains });
  put([head], head.length);
  let isClockNoted = false;
  const notesFor = (view: TraceView): Uint8Array[] => {
    const notes = isClockNoted ? [] : [clockNote(view.time)];
    isClockNoted = true;
    if (known.has(view.domid)) return notes;
    known.add(view.domid);
    const domain = named().findLast(({ domid }) => domid === view.domid);
    return domain === undefined ? notes : [...notes, noteBytes({ domain })];
  };
  return {
    get full() {
      return sink.full;
    },
    take: (view) => {
      if (sink.full) {
        missed++;
        return;
      }
      const parts = [...notesFor(view), ...recordBytes(view)];
      const size = sizeOf(parts);
      if (bytes + size > bounds.room) {
        bounds.exhausted();
        return;
      }
      put(parts, size);
      records++;
    },
    flush: () => {
      if (bytes > 0) sink.deliver(Buffer.concat(waiting), records);
      if (missed > 0) sink.dropped(missed);
      waiting = [];
      [bytes, records, missed] = [0, 0, 0];
    },
    dropped: (lost) => sink.dropped(lost),
  };
}

/** Bytes of all of them. */
export const sizeOf = (parts: readonly Uint8Array[]): number =>
  parts.reduce((sum, { length }) => sum + length, 0);

const clockNote = (time: number): Uint8Array =>
  noteBytes({ clock: { time, host: new Date().toISOString() } });
