/** What a service remembers when it is started again: tokens, and how far it has counted its events. */

import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { open } from 'lmdb';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import type { ServiceOptions } from '../../toolstack/options.js';
import { openState } from '../../toolstack/state/state.js';
import { startTestService, type TestService, TestSocket } from '../support/service.js';

const folder = mkdtempSync(join(tmpdir(), 'xenolith-state-test-'));
let service: TestService | undefined;
const start = async (options: Partial<ServiceOptions> = {}): Promise<TestService> => {
  service = await startTestService({ memory: 16, state: join(folder, 'state'), ...options });
  return service;
};
const stop = async (): Promise<void> => {
  await service?.close();
  service = undefined;
};
afterEach(stop);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function eventsSince(since: number, count: number) {
  const socket = new TestSocket(`${service?.url}/v1/events?since=${since}`);
  await socket.until(() => socket.lines().length >= count, `${count} frames`);
  socket.close();
  return socket.lines();
}

const makeEvents = async ({ request }: TestService): Promise<void> => {
  await request('POST', '/v1/domains', { name: 'hello', kernel: 'hello', memory: 4 });
  await request('DELETE', '/v1/domains/hello');
};

describe('after a restart', () => {
  test('events are counted on, and who asks for older ones is told what is missing', async () => {
    await makeEvents(await start());
    const before = (await eventsSince(0, 2)).map(({ seq }) => seq);
    expect(before).toEqual([1, 2]);
    await stop();
    await start();
    // Before anything happens, and after.
    expect(await eventsSince(1, 1)).toMatchObject([{ kind: 'gap', from: 2, to: 2 }]);
    await makeEvents(service!);
    expect(await eventsSince(0, 3)).toMatchObject([
      { kind: 'gap', from: 1, to: 2 },
      { seq: 3 },
      { seq: 4 },
    ]);
    expect(await eventsSince(2, 2)).toMatchObject([{ seq: 3 }, { seq: 4 }]);
  });

  test('the first token is not made anew, and goes on being good', async () => {
    const { firstToken } = await start({ listen: '0.0.0.0' });
    await stop();
    const again = await start({ listen: '0.0.0.0' });
    expect(again.firstToken).toBeUndefined();
    const headers = { authorization: `Bearer ${firstToken}` };
    expect((await again.request('GET', '/v1/host', undefined, headers)).status).toBe(200);
    const [{ id }] = (await again.request('GET', '/v1/tokens', undefined, headers)).json.tokens;
    await again.request('DELETE', `/v1/tokens/${id}`, undefined, headers);
    await stop();
    // Without an admin nobody could ever get in.
    expect((await start({ listen: '0.0.0.0' })).firstToken).toBeTypeOf('string');
  });
});

describe('the state', () => {
  const quiet = (): void => undefined;

  test('is for one service at a time', async () => {
    await start();
    await expect(startTestService({ state: join(folder, 'state') })).rejects.toThrow(
      /Another service keeps its state in .*--state/,
    );
    expect((await service?.request('GET', '/v1/host'))?.status).toBe(200);
    await stop();
    await start();
  });

  test('can be had for the time of one service only', async () => {
    const first = await openState(undefined, quiet);
    const second = await openState(undefined, quiet);
    first.eventNumbers.next();
    expect(second.eventNumbers.last).toBe(0);
    await first.close();
    await second.close();
  });

  test('of a later version is left alone', async () => {
    const path = join(folder, 'later');
    const later = open<unknown, string>({ path, encoding: 'json', maxDbs: 16 });
    await later.put('format', 2);
    await later.close();
    await expect(openState(path, quiet)).rejects.toThrow('is of format 2');
    // It was let go.
    await expect(openState(path, quiet)).rejects.toThrow('is of format 2');
  });

  test('with an entry that cannot be understood is opened, the entry named and kept', async () => {
    const path = join(folder, 'odd');
    const odd = open<unknown, string>({ path, encoding: 'json', maxDbs: 16 });
    await odd.openDB<unknown, string>({ name: 'tokens', encoding: 'json' }).put('x', { scope: 7 });
    await odd.close();
    for (const _time of [1, 2]) {
      const lines: string[] = [];
      const state = await openState(path, (line) => void lines.push(line));
      expect(lines.join()).toContain('the entry "x" cannot be understood');
      expect(state.tokens.list()).toEqual([]);
      await state.close();
    }
  });

  test('that is no store is refused', async () => {
    const path = join(folder, 'broken');
    mkdirSync(path);
    for (const content of ['x', 'this is no store'.repeat(1000)]) {
      writeFileSync(join(path, 'data.mdb'), content);
      await expect(openState(path, quiet)).rejects.toThrow('is no store');
    }
  });

  test('that had only been begun is begun anew', async () => {
    const path = join(folder, 'begun');
    const file = join(path, 'data.mdb');
    await (await openState(path, quiet)).close();
    for (const bytes of [0, 4096]) {
      truncateSync(file, bytes);
      const state = await openState(path, quiet);
      expect(state.eventNumbers.next()).toBe(1);
      await state.close();
    }
  });
});
