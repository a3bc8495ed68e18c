/** The console over WebSocket: history then live, many viewers, formats, viewers that stall, and the end. */

import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { startTestService, type TestService, TestSocket } from '../support/service.js';

let service: TestService;
beforeAll(async () => {
  service = await startTestService({ memory: 64 });
});
afterAll(() => service.close());
afterEach(() => service.request('DELETE', '/v1/domains/hello'));

const create = (body: object = {}) =>
  service.request('POST', '/v1/domains', { name: 'hello', kernel: 'hello', memory: 4, ...body });
const open = (query = ''): TestSocket =>
  new TestSocket(`${service.url}/v1/domains/hello/console${query}`);

test('a terminal gets the greeting and answers to what is typed, as text or as bytes', async () => {
  await create();
  const terminal = open();
  await terminal.shows('hello> ');
  terminal.send('echo as text\r');
  await terminal.shows('\nas text');
  terminal.socket.send(Buffer.from('echo as bytes\r'));
  await terminal.shows('\nas bytes');
  terminal.close();
});

test('a viewer who comes later sees the same from the beginning', async () => {
  await create();
  const early = open();
  await early.shows('hello> ');
  early.send('echo one\r');
  await early.shows('\none');
  const late = open();
  await late.shows('\none');
  late.send('echo two\r');
  await Promise.all([early.shows('\ntwo'), late.shows('\ntwo')]);
  await Promise.all(
    [early, late].map((viewer) =>
      viewer.shows('two\r\nhello> ').catch(() => viewer.shows('two\nhello> ')),
    ),
  );
  expect(late.output()).toBe(early.output());
  early.close();
  late.close();
});

test('fifty viewers see the same', async () => {
  await create({ paused: true });
  const viewers = Array.from({ length: 50 }, () => open());
  await Promise.all(viewers.map((viewer) => viewer.opened()));
  await service.request('POST', '/v1/domains/hello/actions/unpause');
  await Promise.all(viewers.map((viewer) => viewer.shows('hello> ')));
  expect(new Set(viewers.map((viewer) => viewer.output())).size).toBe(1);
  for (const viewer of viewers) viewer.close();
});

test('with format=text the frames are text', async () => {
  await create();
  const terminal = open('?format=text');
  await terminal.until(() => terminal.output(false).includes('hello> '), 'text');
  expect(terminal.frames.every(({ binary }) => !binary)).toBe(true);
  terminal.close();
});

test('the end of the domain ends the socket, with the last words before it', async () => {
  await create();
  const terminal = open();
  await terminal.shows('hello> ');
  terminal.send('halt\r');
  await terminal.until(() => terminal.closed !== undefined, 'close');
  expect(terminal.closed).toEqual({ code: 1000, reason: 'the domain has ended' });
  expect(terminal.output()).toContain('bye');
  expect(terminal.lines()).toEqual([{ ended: true }]);
});

test('a terminal goes on across a reboot', async () => {
  await create();
  const terminal = open();
  await terminal.shows('hello> ');
  terminal.send('reboot\r');
  await terminal.until(() => terminal.output().split('Hello from domain').length === 3, 'reboot');
  terminal.close();
});

test('a guest that does not read its console: what is too much is refused with the figures', async () => {
  await create({ paused: true });
  const body = new Uint8Array(100_000).fill(0x61);
  const url = `${service.url}/v1/domains/hello/console`;
  const refused = await fetch(url, { method: 'POST', body });
  expect(refused.status).toBe(429);
  const { figures } = (await refused.json()) as { figures: { taken: number; refused: number } };
  expect(figures.taken + figures.refused).toBe(body.length);
  expect(figures.taken).toBeGreaterThan(1024);
});

test('a viewer that stops reading is told how much it has missed, and keeps nobody else waiting', async () => {
  // It prints without end.
  await create({ kernel: 'hostile-rings' });
  const [stalled, reading] = [open(), open()];
  await Promise.all([stalled.opened(), reading.opened()]);
  stalled.socket.pause();
  const printed = () => reading.frames.reduce((sum, { data }) => sum + data.length, 0);
  await reading.until(() => printed() > 16 * 1024 * 1024, '16 MiB of output', 60_000);
  await service.request('POST', '/v1/domains/hello/actions/pause');
  stalled.socket.resume();
  await stalled.until(() => stalled.lines().length > 0, 'the report');
  expect(stalled.lines()[0]).toEqual({ dropped: expect.any(Number) });
  stalled.close();
  reading.close();
});

test('a frame that is too large ends the socket that sent it, and no other', async () => {
  await create();
  const [rude, polite] = [open(), open()];
  await Promise.all([rude.shows('hello> '), polite.shows('hello> ')]);
  rude.socket.send(Buffer.alloc(100_000, 0x61));
  await rude.until(() => rude.closed !== undefined, 'close');
  expect(rude.closed?.code).toBe(1009);
  polite.send('echo still here\r');
  await polite.shows('\nstill here');
  polite.close();
});
