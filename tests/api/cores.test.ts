/** Cores: the ELF layout as readelf sees it, pages and registers as the guest knows them, policies, the files of the API. */

import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { XEN_ELFNOTE } from '../../hypervisor/public/elfnote.js';
import { CoreReader } from '../support/core-reader.js';
import { testWithPeer } from '../support/peer.js';
import { eventually, startTestService, type TestService } from '../support/service.js';

const IMAGES = join(import.meta.dirname, '../../guests/images');
const PAGES = 1024;

let service: TestService;
beforeAll(async () => {
  service = await startTestService({ memory: 192 });
});
afterAll(() => service.close());
afterEach(async () => {
  for (const kind of ['domains?ended=true', 'cores']) {
    const { json } = await service.request('GET', `/v1/${kind}`);
    for (const { uuid } of json.domains ?? [])
      await service.request('DELETE', `/v1/domains/${uuid}`);
    for (const { name } of json.cores ?? []) await service.request('DELETE', `/v1/cores/${name}`);
  }
});

const consoleText = async (id = 'hello') =>
  (await service.request('GET', `/v1/domains/${id}/console`)).text;
const type = (text: string) =>
  fetch(`${service.url}/v1/domains/hello/console`, { method: 'POST', body: text });

async function hello(body: object = {}): Promise<string> {
  const config = { name: 'hello', kernel: 'hello', memory: 4, ...body };
  const { json } = await service.request('POST', '/v1/domains', config);
  await eventually(consoleText, (text) => text.includes('hello> '));
  return json.uuid;
}

async function dump(body: object = {}, id = 'hello') {
  const response = await fetch(`${service.url}/v1/domains/${id}/actions/dump-core`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', prefer: 'wait' },
    body: JSON.stringify(body),
  });
  return response.json();
}

async function download(name: string): Promise<Buffer> {
  const response = await fetch(`${service.url}/v1/cores/${name}`);
  expect(response.status).toBe(200);
  return Buffer.from(await response.arrayBuffer());
}

async function coreOf(body: object = {}): Promise<CoreReader> {
  const task = await dump(body);
  expect(task).toMatchObject({ state: 'succeeded', kind: 'dump-core', progress: 1 });
  return new CoreReader(await download(task.result.core));
}

describe('a core', () => {
  test('says what it is in its notes', async () => {
    await hello();
    const notes = (await coreOf()).notes();
    const header = notes.get(XEN_ELFNOTE.DUMPCORE_HEADER);
    const words = [0, 8, 16, 24].map((at) => header?.readBigUInt64LE(at));
    expect(words).toEqual([0xf00f_ebedn, 1n, BigInt(PAGES), 4096n]);
    const version = notes.get(XEN_ELFNOTE.DUMPCORE_XEN_VERSION);
    expect([version?.readBigUInt64LE(0), version?.readBigUInt64LE(8)]).toEqual([4n, 17n]);
    expect(version?.length).toBe(16 + 16 + 144 + 1024 + 64 + 16);
    expect(notes.get(XEN_ELFNOTE.DUMPCORE_FORMAT_VERSION)?.readBigUInt64LE(0)).toBe(1n);
    expect(notes.get(XEN_ELFNOTE.DUMPCORE_NONE)?.length).toBe(0);
  });

  test('has the pages and the P2M that the guest itself has', async () => {
    await hello();
    await type('mem\r');
    const text = await eventually(consoleText, (now) => /P2M at \w+/.test(now));
    const [, l4 = '', list = ''] = /L4 at mfn 0x([0-9a-f]+).*P2M at ([0-9a-f]+)/.exec(text) ?? [];
    const core = await coreOf();
    expect(core.vcpu(0).ctrlreg3 >> 12n).toBe(BigInt(`0x${l4}`));
    const p2m = new Map(core.p2m().map(({ pfn, mfn }) => [pfn, mfn]));
    expect(p2m.size).toBe(PAGES);
    for (let pfn = 0n; pfn < PAGES; pfn++) {
      const entry = core.memory(0, BigInt(`0x${list}`) + pfn * 8n, 8).readBigUInt64LE();
      expect(entry, `PFN ${pfn}`).toBe(p2m.get(pfn));
    }
  });

  test('has registers that lead to the code of the kernel, and to its stack', async () => {
    await hello();
    const core = await coreOf();
    const { user, flags } = core.vcpu(0);
    expect(flags & 0x24n).toBe(0x24n); // in its kernel, online
    expect([user.cs, user.ss]).toEqual([0xe033, 0xe02b]);
    const code = core.memory(0, user.rip, 8);
    expect(readFileSync(join(IMAGES, 'hello.elf')).includes(code)).toBe(true);
    expect(core.memory(0, user.rsp, 8)).toHaveLength(8);
  });

  test('of a domain that stands still is the same each time, page by page', async () => {
    await hello();
    await service.request('POST', '/v1/domains/hello/actions/pause');
    const [first, second] = [await coreOf(), await coreOf()];
    for (const name of ['.xen_pages', '.xen_p2m', '.xen_prstatus']) {
      expect(second.contents(name).equals(first.contents(name)), name).toBe(true);
    }
    const { json } = await service.request('GET', '/v1/domains/hello');
    expect(json.state).toBe('paused');
  });

  test('is made of a guest that goes on afterwards, live or not', async () => {
    await hello();
    for (const live of [true, false]) {
      await coreOf({ live });
      await type(`echo after ${live}\r`);
      await eventually(consoleText, (text) => text.includes(`\nafter ${live}`));
    }
  });

  test('of a vCPU that never ran has none of its state', async () => {
    await hello({ maxVcpus: 3 });
    const core = await coreOf();
    expect(core.sections.get('.xen_prstatus')).toMatchObject({ entry: 5168, size: 5168 });
  });

  testWithPeer('binutils', ['/usr/bin/readelf'], 'is an ELF core to readelf', async () => {
    await hello();
    const { result } = await dump({ name: 'one.core' });
    expect(result).toMatchObject({ core: 'one.core' });
    const path = join(service.folder, 'cores', 'one.core');
    const text = execFileSync('readelf', ['-aW', path], { encoding: 'utf8', stdio: 'pipe' });
    expect(text).toMatch(/Type: +CORE/);
    expect(text).toMatch(/Machine: +Advanced Micro Devices X86-64/);
    expect(text).toMatch(/\.note\.Xen +NOTE/);
    expect(text).toMatch(/\.xen_prstatus +PROGBITS +0+ [0-9a-f]+ 001430 1430/);
    expect(text).toMatch(/\.xen_shared_info +PROGBITS +0+ [0-9a-f]+ 001000 1000/);
    expect(text).toMatch(/\.xen_p2m +PROGBITS +0+ [0-9a-f]+ 004000 10/);
    expect(text).toMatch(/\.xen_pages +PROGBITS +0+ [0-9a-f]+000 400000 1000/);
    expect(text).not.toMatch(/[Ww]arning|[Ee]rror/);
  });
});

describe('policies', () => {
  const crash = async (onCrash: string) => {
    const uuid = await hello({ onCrash });
    await type('crash\r');
    const { json } = await eventually(
      () => service.request('GET', '/v1/cores'),
      (answer) => answer.json.cores.length === 1,
    );
    return { uuid, core: new CoreReader(await download(json.cores[0].name)) };
  };

  test('coredump-destroy keeps the domain as it was when it crashed, then destroys it', async () => {
    const { uuid, core } = await crash('coredump-destroy');
    // Its last instruction was the SYSCALL of sched_op.
    const { rip } = core.vcpu(0).user;
    expect(core.memory(0, rip - 2n, 2).toString('hex')).toBe('0f05');
    const { json } = await eventually(
      () => service.request('GET', `/v1/domains/${uuid}`),
      (answer) => answer.json.state === 'ended',
    );
    expect(json.shutdownReason).toBe('crash');
  });

  test('coredump-restart starts it anew', async () => {
    const { uuid } = await crash('coredump-restart');
    await eventually(
      () => service.request('GET', `/v1/domains/${uuid}`),
      ({ json }) => ['running', 'blocked'].includes(json.state),
    );
  });
});

describe('the files', () => {
  test('are listed, downloaded and removed', async () => {
    await hello();
    const task = await dump({ name: 'a.core' });
    const { json } = await service.request('GET', '/v1/cores');
    expect(json.cores).toMatchObject([{ name: 'a.core', bytes: task.result.bytes }]);
    expect(await download('a.core')).toHaveLength(task.result.bytes);
    expect((await service.request('DELETE', '/v1/cores/a.core')).status).toBe(204);
    expect((await service.request('GET', '/v1/cores/a.core')).status).toBe(404);
  });

  test('do not replace one another, and lie nowhere else', async () => {
    await hello();
    await dump({ name: 'a.core' });
    expect(await dump({ name: 'a.core' })).toMatchObject({
      state: 'failed',
      problem: { type: '/problems/core-exists', status: 409 },
    });
    const outside = await service.request('POST', '/v1/domains/hello/actions/dump-core', {
      name: '../a.core',
    });
    expect(outside.status).toBe(400);
    writeFileSync(join(service.folder, 'secret'), 'x');
    const outwards = await service.request('GET', '/v1/cores/..%2fsecret');
    expect(outwards.status).toBe(400);
  });

  test('that are cancelled leave nothing, and the guest goes on', async () => {
    await hello({ memory: 64 });
    const { json } = await service.request('POST', '/v1/domains/hello/actions/dump-core', {});
    await service.request('DELETE', `/v1/tasks/${json.id}`);
    await eventually(
      () => service.request('GET', `/v1/tasks/${json.id}`),
      (answer) => answer.json.state !== 'running',
    );
    const folder = join(service.folder, 'cores');
    const left = existsSync(folder) ? readdirSync(folder) : [];
    expect(left.filter((name) => name.endsWith('.partial'))).toEqual([]);
    await type('echo still here\r');
    await eventually(consoleText, (text) => text.includes('\nstill here'));
  });

  test('of a domain that has ended cannot be made', async () => {
    const uuid = await hello();
    await service.request('DELETE', '/v1/domains/hello');
    expect(await dump({}, uuid)).toMatchObject({
      state: 'failed',
      problem: { type: '/problems/wrong-state' },
    });
  });
});
