/** A client generated from /openapi.json by tools of others: its types fit what the service does, and refuse what it does not. */

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import createClient, { type Client } from 'openapi-fetch';
import openapiTS, { astToString } from 'openapi-typescript';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestService, type TestService } from '../support/service.js';

const ROOT = join(import.meta.dirname, '../..');

/** What the client sees of one domain, from its creation on. */
const LIFE_CYCLE = `import type { Client } from 'openapi-fetch';
import type { components, paths } from './schema.js';

type Domain = components['schemas']['Domain'];

/** What comes over WebSockets has types as well. */
export const traceText = ({ text, args }: components['schemas']['TraceLine']): string => \`\${text} \${args['cmd'] ?? ''}\`;
export const eventKind = (event: components['schemas']['Event']): string => event.kind;
export const traceQuery: paths['/v1/trace']['get']['parameters']['query'] = { format: 'binary', domain: 'typed' };

export async function lifeCycle(client: Client<paths>, until: (look: () => Promise<boolean>) => Promise<void>) {
  const created = await client.POST('/v1/domains', { body: { name: 'typed', kernel: 'hello', memory: 4 } });
  if (created.data === undefined) throw new Error(created.error.detail);
  if (!('uuid' in created.data)) throw new Error('a task, which nobody has asked for');
  const { uuid: id }: Domain = created.data;
  const params = { path: { id } };
  const listed = await client.GET('/v1/domains', { params: { query: { filter: 'name:eq:typed', limit: 10 } } });
  const names: string[] | undefined = listed.data?.domains.map((domain) => domain.name);
  const read = await client.GET('/v1/domains/{id}', { params });
  const pages: number | undefined = read.data?.memory.pages;
  const paused = await client.POST('/v1/domains/{id}/actions/pause', { params });
  const state: Domain['state'] | undefined = paused.data?.state;
  const unpaused = await client.POST('/v1/domains/{id}/actions/unpause', { params });
  const tag = (await client.GET('/v1/domains/{id}', { params })).response.headers.get('etag') ?? '';
  const change = (weight: number) =>
    client.PATCH('/v1/domains/{id}', { params: { ...params, header: { 'if-match': tag } }, body: { weight } });
  const changed = await change(512);
  const late = await change(300);
  const console = async () => (await client.GET('/v1/domains/{id}/console', { params, parseAs: 'text' })).data ?? '';
  await until(async () => (await console()).includes('hello> '));
  const printed: string = await console();
  const destroyed = await client.DELETE('/v1/domains/{id}', { params });
  const missing = await client.GET('/v1/domains/{id}', { params: { path: { id: 'nobody' } } });
  const problem: components['schemas']['Problem'] | undefined = missing.error;
  const answers = { created, listed, read, paused, unpaused, changed, late, destroyed, missing };
  const statuses = Object.entries(answers).map(([name, { response }]) => [name, response.status] as const);
  return {
    names, pages, state, printed,
    after: unpaused.data?.state,
    weight: changed.data?.weight,
    problem: problem?.type,
    statuses: Object.fromEntries(statuses),
  };
}
`;

const WRONG_HEAD = `import type { Client } from 'openapi-fetch';
import type { paths } from './schema.js';
declare const client: Client<paths>;
const params = { path: { id: '1' } };
`;

// biome-ignore format: one row per wrong call
const WRONG: readonly (readonly [what: string, call: string])[] = [
  ['a path that there is not',       `client.GET('/v1/domain');`],
  ['a method that there is not',     `client.PUT('/v1/domains/{id}', { params });`],
  ['a domain without a kernel',      `client.POST('/v1/domains', { body: { name: 'a' } });`],
  ['memory in words',                `client.POST('/v1/domains', { body: { name: 'a', kernel: 'hello', memory: '4 MiB' } });`],
  ['a weight in words',              `client.PATCH('/v1/domains/{id}', { params, body: { weight: 'heavy' } });`],
  ['no id',                          `client.DELETE('/v1/domains/{id}');`],
  ['a limit in words',               `client.GET('/v1/domains', { params: { query: { limit: 'ten' } } });`],
  ['a body of another shape',        `client.GET('/v1/domains').then(({ data }) => data?.machines);`],
  ['a state that there is not',      `client.GET('/v1/domains/{id}', { params }).then(({ data }) => data?.state === 'asleep');`],
];

const COMPILER_OPTIONS = {
  strict: true,
  noEmit: true,
  exactOptionalPropertyTypes: true,
  target: 'ES2023',
  lib: ['ES2023', 'DOM'],
  module: 'NodeNext',
  types: [],
};

let service: TestService;
let folder: string;
/** What the compiler says, by file. */
const said = new Map<string, string[]>();

beforeAll(async () => {
  service = await startTestService({ memory: 64 });
  folder = mkdtempSync(join(tmpdir(), 'xenolith-client-'));
  const put = (name: string, text: string): void => writeFileSync(join(folder, name), text);
  const { json } = await service.request('GET', '/openapi.json');
  // What has a default may be left out of a request.
  put('schema.ts', astToString(await openapiTS(json, { defaultNonNullable: false })));
  put('life-cycle.ts', LIFE_CYCLE);
  for (const [n, [, call]] of WRONG.entries()) put(`wrong-${n}.ts`, `${WRONG_HEAD}${call}\n`);
  put('package.json', '{ "type": "module" }');
  put('tsconfig.json', JSON.stringify({ compilerOptions: COMPILER_OPTIONS, include: ['*.ts'] }));
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  for (const line of compile(folder)) {
    const [, file, message] = /^(\S+)\(\d+,\d+\): (error .*)/.exec(line) ?? [];
    if (file !== undefined) said.set(file, [...(said.get(file) ?? []), message ?? '']);
  }
}, 180_000);
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  await service.close();
});

/** Runs the compiler of this repository over a folder. @returns its lines. */
function compile(cwd: string): string[] {
  const compiler = join(ROOT, 'node_modules/typescript/bin/tsc');
  const { stdout, error } = spawnSync(
    process.execPath,
    [compiler, '-p', cwd, '--pretty', 'false'],
    {
      cwd,
      encoding: 'utf8',
      timeout: 150_000,
    },
  );
  if (error !== undefined) throw error;
  return stdout.split('\n');
}

describe('types made from the document', () => {
  test('fit each other and a program that goes through the life of a domain', () => {
    const files = [...said.keys()].filter((file) => !file.startsWith('wrong-'));
    expect(files.map((file) => [file, said.get(file)])).toEqual([]);
  });

  test.each(WRONG.map(([what], n) => [what, n] as const))('refuse %s', (_what, n) => {
    const messages = said.get(`wrong-${n}.ts`) ?? [];
    expect(messages.length).toBeGreaterThan(0);
    // What is wrong is the call, not the program around it.
    for (const message of messages) expect(message).not.toMatch(/TS2307|TS1\d{3}\b|TS2304/);
  });
});

interface LifeCycle {
  lifeCycle(
    client: Client<object>,
    until: (look: () => Promise<boolean>) => Promise<void>,
  ): Promise<Record<string, unknown>>;
}

test('the same program goes through the life of a domain against the service', async () => {
  const { lifeCycle } = (await import(
    pathToFileURL(join(folder, 'life-cycle.ts')).href
  )) as LifeCycle;
  const client = createClient<object>({ baseUrl: service.url });
  const seen = await lifeCycle(client, until);
  expect(seen).toMatchObject({
    names: ['typed'],
    pages: 1024,
    state: 'paused',
    weight: 512,
    printed: expect.stringContaining('Hello from domain'),
    problem: '/problems/no-such-domain',
  });
  expect(seen['after']).toMatch(/^(running|blocked)$/);
  expect(seen['statuses']).toEqual({
    created: 201,
    listed: 200,
    read: 200,
    paused: 200,
    unpaused: 200,
    changed: 200,
    late: 412,
    destroyed: 204,
    missing: 404,
  });
  expect((await service.request('GET', '/v1/domains')).json.domains).toEqual([]);
});

async function until(look: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (!(await look())) {
    if (Date.now() > deadline) throw new Error('not within a minute');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
