/** xl beyond what the transcripts show: files, local kernels, tokens; `xl-transcripts.test.ts` has the verbs. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { eventually, startTestService, type TestService } from '../support/service.js';
import { runXl, runXlHere } from '../support/xl.js';

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

const xl = (args: string) => runXlHere(['--host', service.url, ...args.split(' ')]);

describe('xl', () => {
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

  test('says so when there is no service', async () => {
    const { status, err } = await xl('--host http://127.0.0.1:1 list');
    expect(err).toContain('cannot reach http://127.0.0.1:1');
    expect(status).toBe(1);
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
      runXl(['--host', guarded.url, ...args.split(' ')], '', { XENOLITH_TOKEN: token ?? '' });
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
