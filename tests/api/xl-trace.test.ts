/** xl trace as its users type it: run as a program against a real service with a guest that makes hypercalls. */

import { readFileSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually, startTestService, type TestService } from '../support/service.js';
import { startXl } from '../support/xl.js';

const ROOT = join(import.meta.dirname, '../..');
let service: TestService;
beforeAll(async () => {
  service = await startTestService({ memory: 64 });
  // It ticks for as long as the tests take, and longer.
  const body = { name: 'clock', kernel: 'ticker', cmdline: 'ticks=1000000 period=20', memory: 4 };
  expect((await service.request('POST', '/v1/domains', body)).status).toBe(201);
});
afterAll(() => service.close());

function start(args: readonly string[], host = service.url) {
  const run = startXl(['--host', host, 'trace', ...args]);
  /** Waits for text on its standard error. */
  const says = async (text: string): Promise<void> => {
    await eventually(
      async () => run.said.err,
      (said) => said.includes(text),
    );
  };
  return { ...run, says };
}
const xlTrace = (...args: string[]) => start(args).ended;
const linesOf = (text: string): string[] => text.split('\n').slice(0, -1);

describe('xl trace', () => {
  test('prints as many records as it is asked for, one line each', async () => {
    const { status, out, err } = await xlTrace('-n', '5', '-d', 'clock', '-k', 'time,sched');
    expect({ status, err }).toEqual({ status: 0, err: '' });
    expect(linesOf(out)).toHaveLength(5);
    for (const line of linesOf(out)) expect(line).toMatch(/^d\d+v0 (set_timer_op|sched_op)\(.*@0x/);
  });

  test('prints what an expression holds for, with the time if that is wanted', async () => {
    const filter = 'call=set_timer_op and domain=clock and duration<10s';
    const { status, out } = await xlTrace('-n', '3', '-e', filter, '-t');
    expect(status).toBe(0);
    for (const line of linesOf(out)) expect(line).toMatch(/^\d+\.\d{6} d\d+v0 set_timer_op\(/);
  });

  test('prints JSON, one object a line', async () => {
    const { out } = await xlTrace('-n', '2', '-c', 'set_timer_op', '--json');
    const names = linesOf(out).map((line) => JSON.parse(line).name);
    expect(names).toEqual(['set_timer_op', 'set_timer_op']);
  });

  test('says where a filter cannot be read', async () => {
    const { status, out, err } = await xlTrace('-e', 'duration>fast');
    expect({ status, out }).toEqual({ status: 1, out: '' });
    expect(err).toMatch(/^xl: .*at character 10: expected a time such as .*, found "fast"/);
  });

  test('sums up so many records', async () => {
    const { status, out } = await xlTrace('-S', '-n', '20', '-c', 'set_timer_op');
    expect(status).toBe(0);
    const [titles, , ...rows] = linesOf(out);
    expect(titles).toMatch(/^% time +seconds +usecs\/call .* hypercall$/);
    expect(out).toMatch(/ 20 +set_timer_op$/m);
    expect(rows.at(-1)).toMatch(/^100\.00 .* 20 +total$/);
  });

  test('sums up by domain, as JSON', async () => {
    const { out } = await xlTrace(
      '-S',
      '-n',
      '5',
      '-c',
      'set_timer_op',
      '--by',
      'domain',
      '--json',
    );
    const summary = JSON.parse(out);
    expect(summary.seconds).toBeGreaterThan(0);
    expect(summary.rows).toContainEqual(
      expect.objectContaining({ call: 'set_timer_op', domid: expect.any(Number) }),
    );
  });

  test('sums up until it is interrupted', async () => {
    const run = start(['-S', '-c', 'set_timer_op']);
    await run.says('until interrupted\n');
    // What this summary has counted, xl's has as well: it began before.
    await eventually(
      () => service.request('GET', '/v1/trace/summary?call=set_timer_op&seconds=0.1'),
      ({ json }) => json.calls > 0,
    );
    run.child.kill('SIGINT');
    const { status, out } = await run.ended;
    expect(status).toBe(0);
    expect(out).toMatch(/ [1-9]\d* +set_timer_op$/m);
  });

  test('records what happens to a file, until it is interrupted, and replays it without a service', async () => {
    const file = join(service.folder, 'local.trace');
    const run = start(['--record', file, '-d', 'clock', '-k', 'time,sched']);
    await run.says(`recording to ${file}\n`);
    await eventually(
      async () => statSync(file).size,
      (size) => size > 8192,
    );
    run.child.kill('SIGINT');
    const { status, err } = await run.ended;
    expect(status).toBe(0);
    expect(err).toContain(`xl: ${statSync(file).size} bytes recorded\n`);

    const nowhere = 'http://127.0.0.1:1';
    const replay = (...args: string[]) => start(['--replay', file, ...args], nowhere).ended;
    const all = linesOf((await replay()).out);
    expect(all.length).toBeGreaterThan(10);
    for (const line of all) expect(line).toMatch(/^d\d+v0 (set_timer_op|sched_op)\(.*@0x/);
    const some = await replay('-e', 'domain=clock and call=set_timer_op', '-n', '3', '-t');
    expect(linesOf(some.out)).toHaveLength(3);
    for (const line of linesOf(some.out)) expect(line).toMatch(/^\d+\.\d{6} d\d+v0 set_timer_op/);
    const json = linesOf((await replay('--json')).out).map((line) => JSON.parse(line));
    expect(json.map(({ text }) => text)).toEqual(all);
    expect((await replay('-S')).out).toMatch(new RegExp(`^100\\.00 .* ${all.length} +total$`, 'm'));
    const bad = await replay('-e', 'call=');
    expect(bad).toMatchObject({ status: 1, out: '' });
    expect(bad.err).toMatch(/^xl: .*at character 6: expected a value/);

    truncateSync(file, statSync(file).size - 8);
    const cut = await replay();
    expect(linesOf(cut.out)).toEqual(all.slice(0, -1));
    expect(cut.status).toBe(1);
    expect(cut.err).toMatch(/^xl: .*local\.trace: at byte \d+: the file ends within a record\n$/);
    const none = await start(['--replay', join(ROOT, 'package.json')], nowhere).ended;
    expect(none).toMatchObject({ status: 1, out: '' });
    expect(none.err).toMatch(/package\.json: at byte 0: this is no recording of the trace\n$/);
    const missing = await start(['--replay', `${file}.none`], nowhere).ended;
    expect(missing).toMatchObject({ status: 1, err: expect.stringContaining('ENOENT') });
  });

  test('writes what happens for Perfetto, with the names of the domains', async () => {
    const file = join(service.folder, 'live.json');
    const { status, out } = await xlTrace('--perfetto', file, '-n', '10', '-d', 'clock');
    expect({ status, out }).toEqual({ status: 0, out: '' });
    const { traceEvents } = JSON.parse(readFileSync(file, 'utf8'));
    expect(traceEvents.filter(({ ph }: { ph: string }) => ph === 'X')).toHaveLength(10);
    expect(traceEvents).toContainEqual(
      expect.objectContaining({ ph: 'M', args: { name: expect.stringMatching(/^d\d+ clock$/) } }),
    );
  });

  test('prints a recording of the service, to a file if that is wanted', async () => {
    const asked = { name: 'kept', seconds: 0.5, call: ['set_timer_op'] };
    const headers = { prefer: 'wait' };
    const made = await service.request('POST', '/v1/recordings', asked, headers);
    expect(made.json.state).toBe('succeeded');
    const file = join(service.folder, 'out.txt');
    const { status, out } = await xlTrace('--recording', 'kept', '-o', file);
    expect({ status, out }).toEqual({ status: 0, out: '' });
    const lines = linesOf(readFileSync(file, 'utf8'));
    expect(lines).toHaveLength(made.json.result.records);
    const missing = await xlTrace('--recording', 'nothing');
    expect(missing).toMatchObject({ status: 1, err: 'xl: There is no recording "nothing".\n' });
  });

  // biome-ignore format: one row per mistake
  test.each([
    [['--record', 'x', '-S'],                   '--record goes with neither'],
    [['--replay', 'package.json', '-n', 'x'],   '-n is a number above 0, not "x"'],
    [['-n', '1', '-o', '/nowhere/to/be/found'], 'ENOENT'],
  ])('refuses %j', async (args, problem) => {
    const { status, err } = await xlTrace(...args);
    expect(status).toBe(1);
    expect(err).toContain(problem);
  });

  test('tells what there is', async () => {
    const { status, out } = await xlTrace('--help');
    expect(status).toBe(0);
    for (const word of ['-e, --filter', '-S, --summary', 'args.NAME', '-n <count>']) {
      expect(out).toContain(word);
    }
  });
});
