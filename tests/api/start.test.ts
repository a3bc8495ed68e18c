/** `npm start` as a program: what it says, that it ends in order, and what is said when the hypervisor is gone. */

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { HypervisorThread } from '../../toolstack/host/hypervisor-thread.js';
import { DEFAULTS } from '../../toolstack/options.js';
import { startService } from '../../toolstack/service.js';
import { eventually, TestSocket } from '../support/service.js';

const ROOT = join(import.meta.dirname, '../..');
const folder = mkdtempSync(join(tmpdir(), 'xenolith-start-'));
const state = join(folder, 'state');
const socket = join(folder, 'xenstored.sock');
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let child: ChildProcess | undefined;
afterEach(() => child?.kill('SIGKILL'));

interface Started {
  output(): string;
  readonly exit: Promise<number | null>;
}

function start(...args: string[]): Started {
  const words = ['--import', 'tsx', 'toolstack/main.ts', ...args];
  const process_ = spawn(process.execPath, words, { cwd: ROOT });
  child = process_;
  let output = '';
  for (const stream of [process_.stdout, process_.stderr]) {
    stream.on('data', (data: Buffer) => {
      output += data;
    });
  }
  const exit = new Promise<number | null>((resolve) => process_.on('close', resolve));
  return { output: () => output, exit };
}

describe('npm start', () => {
  test('says where everything is, runs a guest to talk to, and ends in order when told to', async () => {
    const service = start(
      '--port',
      '0',
      '--memory',
      '64',
      '--store-socket',
      socket,
      '--state',
      state,
    );
    await eventually(
      async () => service.output(),
      (text) => text.includes('runs as domain'),
    );
    const url = /API +(http:\S+?)\/v1/.exec(service.output())?.[1];
    expect(service.output()).toContain(`XENSTORED_PATH=${socket}`);
    expect(statSync(socket).mode & 0o777).toBe(0o600);
    await eventually(
      async () => (await fetch(`${url}/v1/domains/demo/console`)).text(),
      (text) => text.includes('hello> '),
    );
    const terminal = new TestSocket(`${url}/v1/domains/demo/console`);
    await terminal.shows('hello> ');
    child?.kill('SIGTERM');
    expect(await service.exit).toBe(0);
    expect(terminal.closed).toEqual({ code: 1001, reason: 'the service stops' });
    expect(existsSync(socket)).toBe(false);
  });

  // biome-ignore format: one row per mistake
  test.each([
    [['--port', 'x'],      '--port must be a whole number from 0 to 65535, not "x"'],
    [['--port', '70000'],  '--port must be a whole number'],
    [['--memory', '9999'], '--memory must be a whole number'],
    [['--nonsense'],       "Unknown option '--nonsense'"],
  ])('%j is refused', async (args, message) => {
    const service = start(...args);
    expect(await service.exit).toBe(1);
    expect(service.output()).toContain(message);
  });

  test('--help says what there is to choose', async () => {
    const service = start('--help');
    expect(await service.exit).toBe(0);
    expect(service.output()).toContain('--store-socket');
  });
});

test('when the hypervisor is gone, the API says so and the service has failed', async () => {
  const machine = new HypervisorThread(16);
  const options = {
    ...DEFAULTS,
    state,
    port: 0,
    storeSocket: undefined,
    uploads: join(folder, 'images'),
  };
  const service = await startService(options, undefined, machine);
  await machine.terminate();
  expect(await service.failed).toContain('ended with code');
  const answer = await fetch(`${service.url}/v1/host`);
  expect(answer.status).toBe(503);
  expect(await answer.json()).toMatchObject({ type: '/problems/hypervisor-gone' });
  await service.close();
});
