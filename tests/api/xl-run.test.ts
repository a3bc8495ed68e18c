/** xl run: what comes of a kernel as an exit status, and as files. */

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestService, type TestService } from '../support/service.js';
import { runXl } from '../support/xl.js';

const folder = mkdtempSync(join(tmpdir(), 'xl-run-test-'));
let service: TestService;
beforeAll(async () => {
  service = await startTestService({ memory: 64 });
});
afterAll(async () => {
  await service.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Where no service is named. */
const xl = (args: readonly string[]) => runXl(args, '', { XENOLITH_URL: undefined });

const HELLO = ['run', 'hello', 'memory=4'];

describe('xl run --host', () => {
  const there = (...args: string[]) => xl(['--host', service.url, ...args]);

  // biome-ignore format: one row per outcome
  test.each([
    ['the text came',         [...HELLO, '--until', 'Hello from domain'],                       0, 'success'],
    ['the wrong text came',   [...HELLO, '--fail', 'Hello from domain'],                        2, 'fail'],
    ['it crashed',            ['run', 'hostile-bad-stack', 'memory=4'],                         3, 'crash'],
    ['it ended',              ['run', 'test-multicall', 'memory=8'],                            0, 'success'],
    ['it ended too soon',     ['run', 'test-multicall', 'memory=8', '--until', 'never shown'],  4, 'ended'],
    ['time ran out',          [...HELLO, '--until', 'never shown', '--timeout', '1'],           5, 'timeout'],
  ])('says when %s', async (_what, args, status, outcome) => {
    const run = await there(...args, '--json');
    expect({ ...run, out: undefined }).toEqual({ status, out: undefined, err: '' });
    expect(JSON.parse(run.out)).toMatchObject({ outcome, code: status });
    const { json } = await service.request('GET', '/v1/domains');
    expect(json.domains).toEqual([]);
  });

  test('refuses what cannot be with exit status 1', async () => {
    expect(await there('run', 'nothing')).toMatchObject({ status: 1, out: '' });
    const { err } = await there(...HELLO, '--timeout', 'soon');
    expect(err).toBe('xl: --timeout is a number of seconds, not "soon"\n');
  });
});

test('without --host a service of its own is started and ended; console, report and trace go to files', async () => {
  const [junit, console, trace] = ['junit.xml', 'console.txt', 'trace.jsonl'].map((name) =>
    join(folder, name),
  ) as [string, string, string];
  const files = ['--junit', junit, '--console', console, '--trace', trace];
  const { status, out } = await xl([
    ...HELLO,
    'extra=<&>',
    '--until',
    'Hello from domain',
    ...files,
  ]);
  expect(status).toBe(0);
  expect(out).toMatch(/Hello from domain[\s\S]*\nxl: success: /);
  expect(readFileSync(console, 'utf8')).toContain('Hello from domain');
  expect(readFileSync(junit, 'utf8')).toMatch(
    /<testsuite name="xl run" tests="1" failures="0" errors="0"/,
  );
  const calls = readFileSync(trace, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(calls.length).toBeGreaterThan(5);
  expect(calls[0]).toMatchObject({ kind: 'hypercall', vcpu: 0 });
});
