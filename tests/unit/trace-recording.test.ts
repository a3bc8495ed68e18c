/** Recordings of the trace as files: what is written is read, gaps where they were; what is damaged is told with its place. */

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { TRACE_HEAD_SIZE } from '../../hypervisor/public/trace.js';
import { TraceFilter, type Wanted } from '../../toolstack/trace/filter.js';
import { Recording, RecordingError } from '../../toolstack/trace/recording.js';
import { headBytes, NOTE, noteBytes } from '../../toolstack/trace/recording-format.js';
import { recordingText } from '../../toolstack/trace/recording-text.js';
import { recordBytesOf } from '../support/trace-records.js';

const ONE = { domid: 1, name: 'one', uuid: '00000000-0000-4000-8000-000000000001' };
const TWO = { domid: 2, name: 'two', uuid: '00000000-0000-4000-8000-000000000002' };
const HEAD = headBytes({ startedAt: '2026-01-02T03:04:05.000Z', domains: [ONE] });
const reason = new TextEncoder().encode('the frame is no page table');

/** A call of each domain, a refused one with its reason, a gap, a fault; two is named where it comes up. */
const FILE = Buffer.concat([
  HEAD,
  noteBytes({ clock: { time: 0, host: '2026-01-02T03:04:05.000Z' } }),
  recordBytesOf({ seq: 1, domid: 1, op: 'xen_version', time: 1000 }),
  noteBytes({ domain: TWO }),
  noteBytes({ symbol: { domid: 2, address: '0xffffffff81000000', name: 'start+0x10' } }),
  recordBytesOf({ seq: 2, domid: 2, kind: 'WHY', input: reason }),
  recordBytesOf({ seq: 2, domid: 2, op: 'mmu_update', result: -22, time: 2000, duration: 500 }),
  noteBytes({ dropped: 7 }),
  recordBytesOf({ seq: 10, domid: 1, kind: 'FAULT', op: 14, args: [2, 0x1234, 2], time: 3000 }),
]);

/** The bytes in pieces of so many. */
async function* pieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function played(bytes: Uint8Array, size = bytes.length, wanted: Wanted = {}) {
  const lines: string[] = [];
  const recording = new Recording(pieces(bytes, size));
  const filter = new TraceFilter(
    { class: ['version', 'mmu', 'fault'], ...wanted },
    recording.decode,
  );
  try {
    for await (const each of recording.play(filter)) {
      lines.push(each.kind === 'record' ? each.event.text : `${each.records} dropped`);
    }
  } catch (error) {
    if (!(error instanceof RecordingError)) throw error;
    return { lines, problem: error.message };
  }
  return { lines, problem: undefined };
}

const WHOLE = [
  expect.stringMatching(/^d1v0 xen_version\(/),
  expect.stringMatching(
    /^d2v0 mmu_update\(.*= -EINVAL \(the frame is no page table\).* start\+0x10$/,
  ),
  '7 dropped',
  expect.stringMatching(/^d1v0 #PF /),
];

describe('a recording', () => {
  test.each([1, 7, 32, 100, 100_000])('is read whatever pieces it comes in: %i', async (size) => {
    expect(await played(FILE, size)).toEqual({ lines: WHOLE, problem: undefined });
  });

  test('is filtered as the trace is, by names of domains as well; gaps stay', async () => {
    const { lines } = await played(FILE, 32, { domain: ['two'] });
    expect(lines).toEqual([WHOLE[1], '7 dropped']);
    const filtered = await played(FILE, 32, { filter: 'domain=one and kind=hypercall' });
    expect(filtered.lines).toEqual([WHOLE[0], '7 dropped']);
    const named = await played(FILE, 32, { filter: 'symbol~start' });
    expect(named.lines).toEqual([WHOLE[1], '7 dropped']);
  });

  test('that is cut off is told where; what was whole before has come', async () => {
    const last = FILE.length - TRACE_HEAD_SIZE;
    expect(await played(FILE.subarray(0, -1), 32)).toEqual({
      lines: WHOLE.slice(0, 3),
      problem: `at byte ${last}: the file ends within a record`,
    });
    expect(await played(FILE.subarray(0, last))).toMatchObject({ problem: undefined });
  });

  // biome-ignore format: one row per damage
  test.each([
    ['nothing',            () => Buffer.alloc(0),                                      'at byte 0: this is no recording of the trace'],
    ['another file',       () => Buffer.from('#!/bin/sh\nexit 0\n'.repeat(9)),         'at byte 0: this is no recording of the trace'],
    ['half a head',        () => FILE.subarray(0, 20),                                 'at byte 0: this is no recording of the trace'],
    ['a later version',    () => changed((bytes) => bytes.writeUInt32LE(2, 8)),        'at byte 8: the recording is of version 2, 1 can be read'],
    ['a head too long',    () => changed((bytes) => bytes.writeUInt32LE(2 ** 31, 12)), 'at byte 12: a head has no 2147483648 bytes'],
    ['a head of nonsense', () => changed((bytes) => bytes.writeUInt8(0, 16)),          'at byte 16: what should be JSON is damaged'],
    ['a strange kind',     () => changed((bytes) => bytes.writeUInt8(99, HEAD.length + 4)),
                           `at byte ${HEAD.length}: there is no record of kind 99`],
    ['no length',          () => changed((bytes) => bytes.writeUInt16LE(0, HEAD.length + 12)),
                           `at byte ${HEAD.length}: a record of 0 bytes cannot hold 56 behind its head`],
  ])('%s is refused', async (_what, bytes, problem) => {
    expect((await played(bytes())).problem).toBe(problem);
  });

  test('whatever its bytes are, it is read or said to be damaged', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat({ max: FILE.length - 1 }), fc.nat({ max: 255 })), {
          maxLength: 4,
        }),
        fc.integer({ min: 1, max: 500 }),
        async (changes, size) => {
          const bytes = Buffer.from(FILE);
          for (const [at, byte] of changes) bytes[at] = byte;
          await played(bytes, size);
        },
      ),
      { numRuns: 300 },
    );
  });

  test('notes that are not known are passed over', async () => {
    const file = Buffer.concat([
      HEAD,
      noteBytes({ later: 1 } as never),
      FILE.subarray(HEAD.length),
    ]);
    expect(await played(file)).toEqual({ lines: WHOLE, problem: undefined });
    expect(NOTE).toBeGreaterThan(5);
  });
});

function changed(change: (bytes: Buffer) => void): Buffer {
  const bytes = Buffer.from(FILE);
  change(bytes);
  return bytes;
}

async function written(format: 'json' | 'text' | 'perfetto', bytes: Uint8Array = FILE) {
  const recording = new Recording(pieces(bytes, 64));
  const filter = new TraceFilter({ class: ['version', 'mmu', 'fault'] }, recording.decode);
  let text = '';
  for await (const piece of recordingText(recording, filter, format)) text += piece;
  return text;
}

describe('written out', () => {
  test('as text and as JSON a gap stands where it was', async () => {
    const lines = (await written('text')).split('\n');
    expect(lines).toEqual([WHOLE[0], WHOLE[1], '… 7 records dropped …', WHOLE[3], '']);
    const objects = (await written('json')).trimEnd().split('\n');
    expect(objects.map((line) => JSON.parse(line))).toMatchObject([
      { seq: 1, name: 'xen_version' },
      { seq: 2, errno: 'EINVAL', symbol: 'start+0x10' },
      { dropped: 7 },
      { seq: 10, name: '#PF' },
    ]);
  });

  test('it ends with what is damaged', async () => {
    const cut = FILE.subarray(0, -1);
    expect(await written('text', cut)).toMatch(/\n… damaged at byte \d+: the file ends .* …\n$/);
    expect(JSON.parse((await written('json', cut)).trimEnd().split('\n').at(-1) ?? '')).toEqual({
      damaged: expect.stringContaining('at byte'),
    });
  });

  test('for Perfetto it is what the Trace Event Format asks for', async () => {
    const { traceEvents, displayTimeUnit } = JSON.parse(await written('perfetto'));
    expect(displayTimeUnit).toBe('ns');
    expectTraceEvents(traceEvents);
    const [version, update, gap, fault] = traceEvents;
    expect(version).toMatchObject({
      ph: 'X',
      name: expect.stringContaining('xen_version'),
      ts: 1,
      dur: 1,
      pid: 1,
      tid: 0,
    });
    expect(update).toMatchObject({
      ph: 'X',
      ts: 2,
      dur: 0.5,
      pid: 2,
      args: { errno: 'EINVAL', symbol: 'start+0x10' },
    });
    expect(gap).toMatchObject({ ph: 'i', s: 'g', args: { records: 7 } });
    expect(fault).toMatchObject({ ph: 'i', s: 't', name: '#PF', args: { address: '0x1234' } });
    const names = traceEvents.filter(({ name }: { name: string }) => name === 'process_name');
    expect(names.map(({ pid, args }: { pid: number; args: object }) => [pid, args])).toEqual([
      [1, { name: 'd1 one' }],
      [2, { name: 'd2 two' }],
    ]);
  });

  test('for Perfetto nothing is a document as well', async () => {
    expect(JSON.parse(await written('perfetto', HEAD))).toMatchObject({ traceEvents: [] });
  });
});

interface TraceEventRow {
  readonly name: string;
  readonly cat: string;
  readonly ph: string;
  readonly ts: number;
  readonly dur?: number;
  readonly s?: string;
  readonly pid: number;
  readonly tid: number;
  readonly args: Readonly<Record<string, unknown>>;
}

/** The rules of the format: what every event has, what complete events, instants and metadata have besides. */
function expectTraceEvents(events: readonly TraceEventRow[]): void {
  for (const { name, cat, ph, ts, dur, s, pid, tid, args } of events) {
    expect([name, cat, ph].map((each) => typeof each)).toEqual(['string', 'string', 'string']);
    expect([ts, pid, tid].every((each) => Number.isFinite(each) && each >= 0)).toBe(true);
    expect(args).toBeTypeOf('object');
    expect(['X', 'i', 'M']).toContain(ph);
    expect(dur !== undefined && dur >= 0).toBe(ph === 'X');
    expect(['g', 'p', 't'].includes(s ?? '')).toBe(ph === 'i');
    if (ph !== 'M') continue;
    expect(['process_name', 'process_sort_index', 'thread_name']).toContain(name);
    expect(Object.keys(args)).toEqual([name.endsWith('index') ? 'sort_index' : 'name']);
  }
}
