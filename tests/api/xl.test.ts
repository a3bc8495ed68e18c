/** xl as its users type it: each verb run as a program against a real service, its output and its exit status. */

import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { eventually, startTestService, type TestService } from '../support/service.js';

const ROOT = join(import.meta.dirname, '../..');
let service: TestService;
beforeAll(async () => {
  service = await startTestService({ memory: 64 });
});
afterAll(() => service.close());
afterEach(async () => {
  const { json } = await service.request('GET', '/v1/domains');
  for (const { uuid } of json.domains) await service.request('DELETE', `/v1/domains/${uuid}`);
});

interface Run {
  readonly status: number | null;
  readonly out: string;
  readonly err: string;
}

/** @param input typed to it; standard input stays open until the program ends if it is a function that waits for output. */
function xl(args: string, input?: string, env: NodeJS.ProcessEnv = {}): Promise<Run> {
  const words = [
    '--import',
    'tsx',
    'toolstack/cli/xl.ts',
    '--host',
    service.url,
    ...args.split(' '),
  ];
  const child = spawn(process.execPath, words, { cwd: ROOT, env: { ...process.env, ...env } });
  let [out, err] = ['', ''];
  child.stdout.on('data', (data: Buffer) => {
    out += data;
  });
  child.stderr.on('data', (data: Buffer) => {
    err += data;
  });
  if (input !== undefined) child.stdin.write(input);
  return new Promise((resolve) => child.on('close', (status) => resolve({ status, out, err })));
}

const create = () => xl('create name=hello kernel=hello memory=4');

describe('xl', () => {
  test('create, list, domid, domname, pause, unpause, destroy', async () => {
    expect(await create()).toEqual({ status: 0, out: '', err: '' });
    const list = await xl('list');
    expect(list.out.split('\n')[0]).toBe(
      'Name                                        ID   Mem VCPUs\tState\tTime(s)',
    );
    expect(list.out).toMatch(/^hello {36} +\d+ +4 +1 {5}[r-][b-]-{4} +\d+\.\d\n/m);
    const domid = (await xl('domid hello')).out.trim();
    expect((await xl(`domname ${domid}`)).out).toBe('hello\n');
    await xl('pause hello');
    expect((await xl('list hello')).out).toContain('--p---');
    await xl('unpause hello');
    expect(JSON.parse((await xl('list --json')).out)).toMatchObject([{ name: 'hello' }]);
    expect(JSON.parse((await xl('list -l')).out)).toMatchObject([
      {
        domid: Number(domid),
        config: { c_info: { name: 'hello', type: 'pv' }, on_crash: 'destroy' },
      },
    ]);
    expect((await xl('destroy hello')).status).toBe(0);
    expect((await xl('list')).out.trim().split('\n')).toHaveLength(1);
  });

  test('create from a configuration file, with a kernel that is a file here', async () => {
    const file = join(service.folder, 'guest.cfg');
    const kernel = join(ROOT, 'guests/images/hello.elf');
    writeFileSync(
      file,
      `name = "fromfile"\nkernel = "${kernel}"\nmemory = 4\nextra = "from a file"\n`,
    );
    const run = await xl(`create ${file}`);
    expect(run).toEqual({ status: 0, out: '', err: `Parsing config from ${file}\n` });
    await eventually(
      async () => (await xl('console --history fromfile')).out,
      (text) => text.includes('"from a file"'),
    );
    expect((await xl(`create -n ${file} name=dry`)).out).toContain('"name": "dry"');
    expect((await xl('images')).out).toContain('-hello.elf');
  });

  test('what list -l prints creates the same domain again', async () => {
    await xl('create name=hello kernel=hello memory=4 maxmem=8 extra=again');
    const { out } = await xl('list -l');
    const file = join(service.folder, 'hello.json');
    writeFileSync(file, out);
    await xl('destroy hello');
    expect(await xl(`create -q -f ${file}`)).toEqual({ status: 0, out: '', err: '' });
    const config = ([{ config: found }]: [{ config: unknown }]) => found;
    expect(config(JSON.parse((await xl('list -l')).out))).toEqual(config(JSON.parse(out)));
  });

  test('console shows what was printed, types what is typed, and ends with the domain', async () => {
    await create();
    const run = await xl('console hello', 'echo typed by xl\rhalt\r');
    expect(run.status).toBe(0);
    expect(run.out).toContain('Hello from domain');
    expect(run.out).toContain('\ntyped by xl');
    expect(run.out).toContain('bye');
  });

  test('create -c attaches at once', async () => {
    const run = await xl('create -c name=hello kernel=hello memory=4', 'halt\r');
    expect(run.out).toContain('Hello from domain');
  });

  test('shutdown -w waits until the domain is gone, reboot -w until it is back', async () => {
    await create();
    const before = (await xl('domid hello')).out;
    expect((await xl('reboot -w hello')).status).toBe(0);
    expect((await xl('domid hello')).out).not.toBe(before);
    expect((await xl('shutdown -w hello')).status).toBe(0);
    expect((await xl('list hello --json')).out).toMatch(/"state": "(ended|shutdown)"/);
  });

  test('info and dmesg', async () => {
    const { out } = await xl('info');
    expect(out).toMatch(/^xen_version {12}: 4\.17/m);
    expect(out).toMatch(/^free_memory {12}: \d+$/m);
    expect((await xl('dmesg')).out).not.toBe('');
  });

  test('trace prints the hypercalls of a domain, one line each, as many as asked for', async () => {
    expect((await xl('create name=clock kernel=ticker memory=4 extra=ticks=1000000')).status).toBe(
      0,
    );
    const { status, out } = await xl('trace -n 20 -d clock');
    expect(status).toBe(0);
    expect(out.trim().split('\n')).toHaveLength(20);
    expect(out).toMatch(/^d\d+v0 set_timer_op\(timeout=\d+\) = 0 <[\d.]+µs> @0xffffffff8/m);
  });

  test('block-*, network-*, vcpu-*, mem-*, rename, sysrq', async () => {
    await service.request('POST', '/v1/disks', { name: 'data.img', size: 1024 * 1024 });
    const file = join(service.folder, 'devices.cfg');
    const path = join(service.folder, 'disks', 'data.img');
    writeFileSync(
      file,
      `name = "hello"\nkernel = "hello"\nmemory = 4\nmaxmem = 8\nmaxvcpus = 2
disk = [ '${path},raw,xvda,ro' ]\nvif = [ 'mac=00:16:3e:00:00:01' ]\nfrobnicate = 1\n`,
    );
    const { err } = await xl(`create ${file}`);
    expect(err).toContain(`xl: warning: ${file}:8: unknown key "frobnicate" is ignored`);
    expect((await xl('block-list hello')).out).toMatch(
      new RegExp(`^51712 +xvda +\\d+ +\\d +ro +${path}$`, 'm'),
    );
    expect((await xl('block-attach hello data.img,raw,xvdb,r')).status).toBe(0);
    expect((await xl('block-detach hello 51728')).status).toBe(0);
    expect(JSON.parse((await xl('block-list hello --json')).out)).toHaveLength(1);
    expect((await xl('network-list hello')).out).toContain('0   00:16:3e:00:00:01');
    expect((await xl('network-attach hello bridge=lan rate=1Mb/s')).status).toBe(0);
    expect((await xl('network-detach hello 1')).status).toBe(0);
    expect((await xl('network-detach hello 7')).err).toContain('has no interface "7"');
    expect((await xl('vcpu-set hello 2')).status).toBe(0);
    expect((await xl('vcpu-list hello')).out).toMatch(/^hello +\d+ +1 +--p/m);
    expect((await xl('mem-set hello 3m')).status).toBe(0);
    expect((await xl('mem-max hello 1t')).status).toBe(1);
    expect((await xl('sysrq hello h')).status).toBe(0);
    expect((await xl('rename hello other')).status).toBe(0);
    const { json } = await service.request('GET', '/v1/domains/other');
    expect(json).toMatchObject({ memory: { targetPages: 768 }, disks: [{ vdev: 'xvda' }] });
    await xl('destroy other');
    await service.request('DELETE', '/v1/disks/data.img');
  });

  test('xenstore-*', async () => {
    await xl('xenstore-write /data/a 1 /data/b 2');
    expect((await xl('xenstore-read /data/a /data/b')).out).toBe('1\n2\n');
    expect((await xl('xenstore-list /data')).out).toBe('a\nb\n');
    expect((await xl('xenstore-ls -f -p /data')).out).toBe(
      '/data/a = "1"   (n0)\n/data/b = "2"   (n0)\n',
    );
    await xl('xenstore-chmod /data/a n0 r5');
    expect((await xl('xenstore-ls -p /data')).out).toContain('a = "1"   (n0,r5)');
    expect((await xl('xenstore-exists /data/a')).status).toBe(0);
    expect((await xl('xenstore-watch -n 1 /data')).out).toBe('/data\n');
    await xl('xenstore-rm /data');
    expect((await xl('xenstore-exists /data/a')).status).toBe(1);
  });

  // biome-ignore format: one row per mistake
  test.each([
    ['destroy nobody',             'xl: There is no domain "nobody".'],
    ['console nobody',             'xl: There is no domain "nobody".'],
    ['create name=x',              'xl: the domain needs a kernel'],
    ['create name=x kernel=none',  'xl: The kernel "none" is no image here.'],
    ['create nofile',              'xl: cannot read nofile'],
    ['create name=x kernel=hello pci=1', 'xl: pci=1: "pci" is not possible here'],
    ['explode',                    "error: unknown command 'explode'"],
  ])('%s is refused with exit status 1', async (args, message) => {
    const { status, err } = await xl(args);
    expect(err).toContain(message);
    expect(status).toBe(1);
  });

  test('says so when there is no service', async () => {
    const { status, err } = await xl('--host http://127.0.0.1:1 list');
    expect(err).toContain('cannot reach http://127.0.0.1:1');
    expect(status).toBe(1);
  });

  test('debug-keys, dmesg -c, uptime, trigger and dump-core', async () => {
    await create();
    const keys = await xl('debug-keys h');
    expect(keys).toMatchObject({ status: 0, err: '' });
    expect(keys.out).toMatch(/^ +q +/m);
    expect((await xl('dmesg -c')).out).toContain('Xenolith 4.17');
    expect((await xl('dmesg')).out).toBe('');
    expect((await xl('uptime')).out).toMatch(
      /^Name +ID Uptime\nDomain-0 +0 \d\d:\d\d:\d\d\nhello +\d+ \d\d:\d\d:\d\d\n$/,
    );
    expect((await xl('uptime -s hello')).out).toMatch(/^\d+\n$/);
    expect(await xl('trigger hello nmi')).toEqual({ status: 0, out: '', err: '' });
    expect(await xl('trigger hello s3resume')).toMatchObject({ status: 1 });
    const file = join(service.folder, 'hello.core');
    expect(await xl(`dump-core hello ${file}`)).toEqual({ status: 0, out: '', err: '' });
    expect(readFileSync(file).toString('latin1', 0, 4)).toBe('\x7fELF');
    expect((await service.request('GET', '/v1/cores')).json).toEqual({ cores: [] });
    expect(await xl('dump-core nobody')).toMatchObject({ status: 1, out: '' });
    const lost = await xl(`dump-core hello ${service.folder}/nowhere/hello.core`);
    expect(lost).toMatchObject({ status: 1, out: '' });
    const { cores } = (await service.request('GET', '/v1/cores')).json;
    expect(lost.err).toContain(`the service keeps it as /v1/cores/${cores[0].name}`);
  });
});

describe('xl token', () => {
  let guarded: TestService;
  beforeAll(async () => {
    guarded = await startTestService({ memory: 16, listen: '0.0.0.0' });
  });
  afterAll(() => guarded.close());

  test('create, list, revoke; XENOLITH_TOKEN says who asks', async () => {
    const as = (token: string | undefined, args: string) =>
      xl(`--host ${guarded.url} ${args}`, undefined, { XENOLITH_TOKEN: token ?? '' });
    expect(await as(undefined, 'list')).toMatchObject({
      status: 1,
      err: 'xl: This service takes requests with a token only: "Authorization: Bearer <token>".\n',
    });
    const admin = guarded.firstToken;
    const made = await as(admin, 'token create ci operator --expires 3600');
    expect(made).toEqual({
      status: 0,
      out: expect.stringMatching(/^[\w-]+\.[\w-]{43}\n$/),
      err: '',
    });
    const secret = made.out.trim();
    expect((await as(secret, 'list')).status).toBe(0);
    expect((await as(secret, 'token list')).err).toContain('needs a token of scope admin');
    const list = await as(admin, 'token list');
    const id = secret.split('.')[0];
    expect(list.out).toMatch(new RegExp(`^${id} operator 2\\S+Z 2\\S+Z ci$`, 'm'));
    expect(list.out).toMatch(/^\S+ admin {4}2\S+Z never {19} first$/m);
    expect((await as(admin, `token revoke ${id}`)).status).toBe(0);
    expect((await as(secret, 'list')).status).toBe(1);
    expect((await as(admin, 'token create ci --expires soon')).err).toBe(
      'xl: --expires must be a number of seconds, not "soon"\n',
    );
    expect((await as(admin, 'token create ci root')).err).toContain('/scope');
  });
});
