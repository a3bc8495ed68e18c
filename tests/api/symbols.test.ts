/** Addresses of a guest by the names that its kernel's symbols give them: in the trace, in reasons of crashes, over REST. */

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { testWithPeer } from '../support/peer.js';
import { startTestService, type TestService, TestSocket } from '../support/service.js';

const GUESTS = join(import.meta.dirname, '../../guests');
const TOOLS = ['/usr/bin/make', '/usr/bin/cc', '/usr/bin/nm'];

let service: TestService;
let folder: string;
beforeAll(async () => {
  service = await startTestService({ memory: 128 });
  folder = mkdtempSync(join(tmpdir(), 'symbols-'));
});
afterAll(async () => {
  await service.close();
  rmSync(folder, { recursive: true, force: true });
});
afterEach(async () => {
  const { json } = await service.request('GET', '/v1/domains');
  for (const { uuid } of json.domains) await service.request('DELETE', `/v1/domains/${uuid}`);
});

const upload = async (name: string, bytes: Uint8Array | string): Promise<void> => {
  const headers = { 'content-type': 'application/octet-stream' };
  const body = typeof bytes === 'string' ? bytes : new Uint8Array(bytes);
  const answer = await fetch(`${service.url}/v1/images/${name}`, { method: 'PUT', headers, body });
  expect(answer.status, await answer.text()).toBeLessThan(300);
};
const create = async (name: string, kernel: string, more = {}): Promise<number> => {
  const answer = await service.request('POST', '/v1/domains', { name, kernel, memory: 8, ...more });
  expect(answer.status, answer.text).toBe(201);
  return answer.json.domid;
};
const symbols = async (id: string, query: string) =>
  (await service.request('GET', `/v1/domains/${id}/symbols?${query}`)).json;

/** A guest of this repository, built with its symbols. */
function build(guest: string): Buffer {
  const { CC: _, MAKEFLAGS: __, ...env } = process.env;
  const [images, objects] = [join(folder, 'images'), join(folder, 'build')];
  const image = join(images, `${guest}.elf`);
  const args = ['-s', '-C', GUESTS, 'STRIP=', `BUILD=${objects}`, `IMAGES=${images}`, image];
  execFileSync('make', args, { stdio: 'pipe', env });
  return readFileSync(image);
}

testWithPeer(
  'make gcc binutils',
  TOOLS,
  'a kernel with symbols names what it calls from',
  async () => {
    const elf = build('hello');
    await upload('named', elf);
    const nm = execFileSync('nm', [join(folder, 'images/hello.elf')], { encoding: 'utf8' });
    const main = /^([0-9a-f]{16}) T main$/m.exec(nm)?.[1] ?? '';
    const trace = new TestSocket(`${service.url}/v1/trace`);
    await trace.opened();
    const domid = await create('named', 'named');
    const calls = () =>
      trace.lines().filter((line) => line.domid === domid && line.kind === 'hypercall');
    await trace.until(() => calls().some(({ op }) => op === 'block'), 'a block');
    const names = new Set([...nm.matchAll(/ [TtWw] (\S+)$/gm)].map(([, name]) => name));
    for (const { symbol, text, rip } of calls()) {
      expect(symbol).toMatch(/^\w[\w.]*\+0x[0-9a-f]+$/);
      expect(names).toContain(symbol.replace(/\+.*/, ''));
      expect(text).toContain(`@${rip} ${symbol}`);
    }
    trace.close();
    const at = Number(BigInt.asUintN(32, BigInt(`0x${main}`)));
    const inMain = `0xffffffff${(at + 4).toString(16)}`;
    expect(await symbols('named', `name=main,none_such&address=0x${main},${inMain},0x10`)).toEqual({
      source: 'elf',
      symbols: expect.any(Number),
      found: [
        { address: `0x${main}`, symbol: 'main' },
        { address: inMain, symbol: 'main+0x4' },
        { address: '0x10' },
        { symbol: 'main', address: `0x${main}` },
        { symbol: 'none_such' },
      ],
    });
  },
);

testWithPeer(
  'make gcc',
  TOOLS.slice(0, 2),
  'the reason of a crash, and a debug key, name the code',
  async () => {
    await upload('named-crash', build('hostile-no-handler'));
    await create('crash', 'named-crash', { onCrash: 'preserve' });
    const read = async () => (await service.request('GET', '/v1/domains/crash')).json;
    await expect.poll(async () => (await read()).shutdownReason, { timeout: 60_000 }).toBe('crash');
    expect((await read()).detail).toMatch(
      /Unhandled: vec 6.* rip 0x[0-9a-f]+ <main(\+0x[0-9a-f]+)?>/,
    );
    const keys = await service.request('POST', '/v1/host/debug-keys', { keys: 'd' });
    expect(keys.json.text).toMatch(/d\d+v0: kernel rip [0-9a-f]{16} <main(\+0x[0-9a-f]+)?> rflags/);
  },
);

test('a map beside a stripped kernel serves as well, and a kernel without either has no names', async () => {
  await upload('plain', readFileSync(join(GUESTS, 'images/hello.elf')));
  const trace = new TestSocket(`${service.url}/v1/trace?call=xen_version`);
  await trace.opened();
  const first = await create('plain', 'plain');
  const callsOf = (domid: number) => trace.lines().filter((line) => line.domid === domid);
  await trace.until(() => callsOf(first).length > 0, 'a call');
  const [line] = callsOf(first);
  expect(line).not.toHaveProperty('symbol');
  expect(await symbols('plain', 'name=main')).toEqual({
    source: 'none',
    symbols: 0,
    found: [{ symbol: 'main' }],
  });
  const rip = BigInt(line?.['rip']);
  const text = (at: bigint) => at.toString(16).padStart(16, '0');
  const map = `${text(rip - 0x10n)} T asks\n${text(rip + 0x10n)} t other\n`;
  await upload('plain.map', map);
  expect(await symbols('plain', `address=${line?.['rip']}`)).toEqual({
    source: 'map',
    symbols: 2,
    found: [{ address: line?.['rip'], symbol: 'asks+0x10' }],
  });
  const second = await create('again', 'plain');
  await trace.until(() => callsOf(second).length > 0, 'a call of the second');
  expect(callsOf(second).map(({ symbol }) => symbol)).toContain('asks+0x10');
  trace.close();
});

test('an image that was replaced since names nothing of the domain that was built from it', async () => {
  await upload('moving', readFileSync(join(GUESTS, 'images/user.elf')));
  await upload('moving.map', '0000000000001000 T here\n0000000000002000 T there\n');
  await create('old', 'moving');
  await upload('moving', readFileSync(join(GUESTS, 'images/ticker.elf')));
  expect(await symbols('old', 'address=0x1004')).toMatchObject({ source: 'none', found: [{}] });
  await create('new', 'moving');
  expect(await symbols('new', 'address=0x1004')).toMatchObject({
    source: 'map',
    found: [{ symbol: 'here+0x4' }],
  });
});

test('what is no address is refused', async () => {
  await create('hello', 'hello');
  const answer = await service.request('GET', '/v1/domains/hello/symbols?address=0xnope');
  expect(answer.status).toBe(400);
  expect(answer.json.errors[0]).toMatchObject({ pointer: '?address', found: '0xnope' });
  expect((await service.request('GET', '/v1/domains/nobody/symbols')).status).toBe(404);
});
