/** A recording as it leaves the service: its bytes, or what is wanted of it in words. */

import type { DownloadQuery } from '../schemas/recording.js';
import { recordingText } from '../trace/recording-text.js';
import { CommandError } from './errors.js';
import type { Recordings } from './recordings.js';
import { traceFilter } from './trace-filter.js';

/** Throws `no-such-recording`, `wrong-state` while it is being recorded, `bad-value` if it cannot be filtered so. */
export function downloadOf(
  recordings: Recordings,
  name: string,
  { format, ...wanted }: DownloadQuery,
): AsyncIterable<Uint8Array | string> {
  const recording = recordings.open(name);
  const filter = traceFilter(wanted, recording.decode);
  if (format !== 'binary') return recordingText(recording, filter, format);
  const given = Object.entries(wanted).find(([, value]) => value !== undefined)?.[0];
  if (given === undefined) return recordings.bytesOf(name);
  const message = `A file is sent as it is: "${given}" goes with the formats json, text and perfetto.`;
  throw new CommandError('bad-value', message, {
    errors: [{ pointer: `?${given}`, detail: 'not with format=binary' }],
  });
}
