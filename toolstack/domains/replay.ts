/** A recording played to a reader as if it happened now, at its own speed or another, or as fast as the reader takes it: nothing is lost. */

import { setTimeout as sleep } from 'node:timers/promises';
import type { TraceFilter } from '../trace/filter.js';
import { type Recording, RecordingError } from '../trace/recording.js';
import type { Ended, TraceConsumer } from './trace-feed.js';
import type { NamedSource } from './trace-session.js';

/** Records between two looks at whether the reader keeps up. */
const BATCH = 256;
/** How often a reader that does not is looked at, milliseconds. */
const WAIT_MS = 10;
/** Nanoseconds of a millisecond. */
const MS = 1e6;

export class Replay implements NamedSource {
  readonly #recording: Recording;
  readonly #speed: number;

  /** @param speed 1 for as it was, 2 for twice as fast; infinite if nobody is to wait. */
  constructor(recording: Recording, speed = Number.POSITIVE_INFINITY) {
    this.#recording = recording;
    this.#speed = speed;
  }

  get decode() {
    return this.#recording.decode;
  }
  readonly named = () => this.#recording.domains;

  subscribe(filter: TraceFilter, consumer: TraceConsumer, ended: Ended): () => void {
    const stop = new AbortController();
    this.#play(filter, consumer, stop.signal).then(
      () => stop.signal.aborted || ended(),
      (error: unknown) => stop.signal.aborted || ended(problemOf(error)),
    );
    return () => stop.abort();
  }

  async #play(filter: TraceFilter, consumer: TraceConsumer, signal: AbortSignal): Promise<void> {
    const dueIn = this.#clock();
    let seen = 0;
    for await (const played of this.#recording.play(filter)) {
      if (signal.aborted) return;
      if (played.kind === 'dropped') {
        consumer.flush();
        consumer.dropped(played.records);
        continue;
      }
      const wait = dueIn(played.view.time);
      if (wait >= 1) {
        consumer.flush();
        await sleep(wait, undefined, { signal });
      }
      consumer.take(played.view);
      seen += 1;
      if (seen % BATCH === 0) await this.#keepUp(consumer, signal);
    }
  }

  async #keepUp(consumer: TraceConsumer, signal: AbortSignal): Promise<void> {
    consumer.flush();
    while (consumer.full) await sleep(WAIT_MS, undefined, { signal });
  }

  /** @returns how many milliseconds from now a time of the recording is. */
  #clock(): (time: number) => number {
    const started = performance.now();
    let first: number | undefined;
    return (time) => {
      first ??= time;
      return started + (time - first) / MS / this.#speed - performance.now();
    };
  }
}

function problemOf(error: unknown): string {
  if (error instanceof RecordingError) return `the recording is damaged ${error.message}`;
  return 'the recording cannot be read';
}
