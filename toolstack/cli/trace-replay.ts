/** xl trace --replay: a recording that is a file here, with no service: the same filters and forms. */

import { createReadStream } from 'node:fs';
import { FilterError, TraceFilter, type Wanted } from '../trace/filter.js';
import { type Played, Recording, RecordingError } from '../trace/recording.js';
import { TraceSummary } from '../trace/summary.js';
import { UserError } from './client.js';
import { type Form, type Output, summaryText } from './trace-output.js';

const NS = 1e9;
const CHUNK = 256 * 1024;
/** Characters that are written at once, about. */
const PIECE = 64 * 1024;

interface Limits {
  /** Records, and seconds of the recording. */
  readonly limit: number;
  readonly seconds: number;
}

/** Throws UserError where the file is damaged: what is whole before has been written then. */
export async function replayLines(
  file: string,
  wanted: Wanted,
  limits: Limits,
  form: Form,
  output: Output,
): Promise<void> {
  const recording = new Recording(createReadStream(file, { highWaterMark: CHUNK }));
  let text = '';
  let problem: UserError | undefined;
  try {
    for await (const played of within(recording, wanted, limits)) {
      text += played.kind === 'record' ? form.event(played.event) : form.dropped(played.records);
      if (text.length < PIECE) continue;
      await output.write(text);
      text = '';
    }
  } catch (error) {
    problem = problemOf(error, file);
  }
  await output.write(text + form.end(recording.domains));
  if (problem !== undefined) throw problem;
}

/** Throws UserError where the file is damaged: the summary of what is whole has been written then. */
export async function replaySummary(
  file: string,
  wanted: Wanted,
  limits: Limits,
  { byDomain, json }: { readonly byDomain: boolean; readonly json: boolean },
  output: Output,
): Promise<void> {
  const recording = new Recording(createReadStream(file, { highWaterMark: CHUNK }));
  const summary = new TraceSummary({ byDomain });
  let problem: UserError | undefined;
  try {
    for await (const played of within(recording, wanted, limits)) {
      if (played.kind === 'record') summary.take(played.view);
      else summary.drop(played.records);
    }
  } catch (error) {
    problem = problemOf(error, file);
  }
  await output.write(summaryText(summary.table(), json));
  if (problem !== undefined) throw problem;
}

async function* within(
  recording: Recording,
  wanted: Wanted,
  { limit, seconds }: Limits,
): AsyncGenerator<Played> {
  let left = limit;
  let first: number | undefined;
  for await (const played of recording.play(filterOf(wanted, recording))) {
    if (played.kind === 'record') {
      const { time } = played.view;
      first ??= time;
      if (left === 0 || time - first > seconds * NS) return;
      left -= 1;
    }
    yield played;
  }
}

function filterOf(wanted: Wanted, recording: Recording): TraceFilter {
  try {
    return new TraceFilter(wanted, recording.decode);
  } catch (error) {
    if (error instanceof FilterError) throw new UserError(error.message);
    throw error;
  }
}

/** What cannot be read, in one line; any other error is a mistake of ours. */
function problemOf(error: unknown, file: string): UserError {
  if (error instanceof UserError) return error;
  if (error instanceof RecordingError) return new UserError(`${file}: ${error.message}`);
  if (error instanceof Error && 'code' in error) return new UserError(error.message);
  throw error;
}
