/** A recording written out: as lines of JSON or text, or for Perfetto. What is damaged is said where it ends. */

import type { TraceFilter } from './filter.js';
import { PerfettoText } from './perfetto.js';
import { type Played, type Recording, RecordingError } from './recording.js';

export type TextFormat = 'json' | 'text' | 'perfetto';

interface Writer {
  readonly begin: string;
  of(played: Played): string;
  /** @param problem why it ends early. */
  end(problem: string | undefined): string;
}

/** Characters that are handed on at once, about. */
const PIECE = 64 * 1024;

export async function* recordingText(
  recording: Recording,
  filter: TraceFilter,
  format: TextFormat,
): AsyncGenerator<string> {
  const writer = WRITERS[format](recording);
  let text = writer.begin;
  let problem: string | undefined;
  try {
    for await (const played of recording.play(filter)) {
      text += writer.of(played);
      if (text.length < PIECE) continue;
      yield text;
      text = '';
    }
  } catch (error) {
    if (!(error instanceof RecordingError)) throw error;
    problem = error.message;
  }
  yield text + writer.end(problem);
}

const jsonWriter = (): Writer => ({
  begin: '',
  of: (played) =>
    played.kind === 'record'
      ? `${JSON.stringify(played.event)}\n`
      : `${JSON.stringify({ dropped: played.records })}\n`,
  end: (problem) => (problem === undefined ? '' : `${JSON.stringify({ damaged: problem })}\n`),
});

const textWriter = (): Writer => ({
  begin: '',
  of: (played) =>
    played.kind === 'record' ? `${played.event.text}\n` : `… ${played.records} records dropped …\n`,
  end: (problem) => (problem === undefined ? '' : `… damaged ${problem} …\n`),
});

function perfettoWriter(recording: Recording): Writer {
  const perfetto = new PerfettoText();
  return {
    begin: perfetto.begin(),
    of: (played) =>
      played.kind === 'record' ? perfetto.event(played.event) : perfetto.dropped(played.records),
    end: () => perfetto.end(recording.domains),
  };
}

const WRITERS: Readonly<Record<TextFormat, (recording: Recording) => Writer>> = {
  json: jsonWriter,
  text: textWriter,
  perfetto: perfettoWriter,
};
