/** Recordings of the trace: what was traced for a while, as a file. */

import { z } from 'zod';
import { ShelfName } from './shelf-name.js';
import { list, selection } from './trace.js';

export const RecordingParams = z.strictObject({ name: ShelfName });

export const Recording = z
  .strictObject({
    name: z.string(),
    state: z.enum(['recording', 'complete']),
    bytes: z.int().describe('Size of the file, so far.'),
    createdAt: z.iso.datetime(),
    task: z.string().optional().describe('Id of the task that records.'),
  })
  .meta({ id: 'Recording', description: 'A recording of the trace.' });
export type Recording = z.infer<typeof Recording>;

export const RecordingList = z
  .strictObject({ recordings: z.array(Recording) })
  .meta({ id: 'RecordingList', description: 'Recordings by name, those that go on first.' });

const words = (what: string) =>
  z.array(z.string().min(1)).min(1).max(256).optional().describe(what);
const KIB = 1024;
const GIB = 1024 ** 3;

export const RecordingRequest = z
  .strictObject({
    name: ShelfName.optional().describe('Name of the file; made of the time if absent.'),
    domain: words('domids, names or uuids; of domains to come, too.'),
    call: words('Names of hypercalls.'),
    class: words('Classes of records; all but fault and switch if absent.'),
    filter: selection.filter,
    seconds: z.number().min(0.1).max(86_400).default(3600).describe('For how long, at most.'),
    bytes: z
      .int()
      .min(64 * KIB)
      .max(16 * GIB)
      .default(64 * 1024 * KIB)
      .describe('Size of the file, at most.'),
  })
  .meta({
    id: 'RecordingRequest',
    description:
      'What to record. It ends when it is stopped, after so long, or when the file is full.',
  });
export type RecordingRequest = z.output<typeof RecordingRequest>;

export const DownloadQuery = z.strictObject({
  format: z
    .enum(['binary', 'json', 'text', 'perfetto'])
    .default('binary')
    .describe(
      'The file as it is, a TraceLine (or TraceDrops) in each line, lines of text, or JSON for Perfetto and chrome://tracing.',
    ),
  ...selection,
  domain: list('domids, names or uuids, separated by commas. Not with format=binary.'),
});
export type DownloadQuery = z.output<typeof DownloadQuery>;
