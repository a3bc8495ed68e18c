/** Clients that want the same at once, each over a connection of its own: one gets it, the others are told. */

import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { startTestService, type TestService } from '../support/service.js';

const CLIENTS = 8;
const JSON_TYPE = { 'content-type': 'application/json' };

let service: TestService;
beforeAll(async () => {
  service = await startTestService({ memory: 128 });
  await service.request('POST', '/v1/disks', { name: 'data.img', size: 1024 * 1024 });
});
afterAll(() => service.close());

const hello = (more: object = {}) => ({ name: 'hello', kernel: 'hello', memory: 4, ...more });
const create = (more?: object) => service.request('POST', '/v1/domains', hello(more));

beforeEach(async () => {
  const { json } = await service.request('GET', '/v1/domains?ended=true');
  for (const { uuid, state } of json.domains) {
    await service.request('DELETE', `/v1/domains/${uuid}`);
    if (state !== 'ended') await service.request('DELETE', `/v1/domains/${uuid}`);
  }
});

/** What each of the clients is answered, those that were not refused first. */
async function atOnce(ask: (client: number) => Promise<{ status: number }>): Promise<number[]> {
  const answers = await Promise.all(Array.from({ length: CLIENTS }, (_, client) => ask(client)));
  return answers.map(({ status }) => status).sort((a, b) => a - b);
}
const oneOf = (won: number, lost: number) => [won, ...Array(CLIENTS - 1).fill(lost)];

test('one of those who create a name has it, and one of those who create a uuid', async () => {
  expect(await atOnce(() => create())).toEqual(oneOf(201, 409));
  const uuid = '7a1c2b3d-0000-4000-8000-000000000001';
  expect(await atOnce((client) => create({ name: `own-${client}`, uuid }))).toEqual(
    oneOf(201, 409),
  );
  expect((await service.request('GET', '/v1/domains')).json.domains).toHaveLength(2);
});

test('one of those who change what they have seen changes it, and what it says is what is there', async () => {
  await create();
  const etag = (await service.request('GET', '/v1/domains/hello')).headers.get('etag') ?? '';
  const wins: number[] = [];
  const statuses = await atOnce(async (client) => {
    const weight = 100 + client;
    const headers = { ...JSON_TYPE, 'if-match': etag };
    const body = { weight };
    const answer = await service.request('PATCH', '/v1/domains/hello', body, headers);
    if (answer.status === 200) wins.push(weight);
    return answer;
  });
  expect(statuses).toEqual(oneOf(200, 412));
  const now = await service.request('GET', '/v1/domains/hello');
  expect([now.json.weight]).toEqual(wins);
  expect(now.headers.get('etag')).not.toBe(etag);
});

test('one of those who give their domains the same name succeeds', async () => {
  for (let client = 0; client < CLIENTS; client++) await create({ name: `named-${client}` });
  const rename = (client: number) =>
    service.request('PATCH', `/v1/domains/named-${client}`, { name: 'wanted' });
  expect(await atOnce(rename)).toEqual(oneOf(200, 409));
});

test('a domain that all destroy is destroyed once, and nobody is told that it failed', async () => {
  const { uuid } = (await create()).json;
  const destroy = () => service.request('DELETE', `/v1/domains/${uuid}`);
  expect(await atOnce(destroy)).toEqual(Array(CLIENTS).fill(204));
  const ended = service.services.events
    .since(0)
    .filter((event) => event.kind === 'destroyed' && event.uuid === uuid);
  expect(ended).toHaveLength(1);
  // It is remembered until somebody forgets it.
  expect((await service.request('GET', `/v1/domains/${uuid}`)).json.state).toBe('ended');
  expect((await destroy()).status).toBe(204);
  expect((await destroy()).status).toBe(404);
});

test('one of those who pause it does, and one of those who let it go on', async () => {
  await create();
  const act = (kind: string) => () => service.request('POST', `/v1/domains/hello/actions/${kind}`);
  expect(await atOnce(act('pause'))).toEqual(oneOf(200, 409));
  expect(await atOnce(act('unpause'))).toEqual(oneOf(200, 409));
});

test('one of those who attach a disk to be written has it', async () => {
  for (let client = 0; client < CLIENTS; client++) await create({ name: `disk-${client}` });
  const attach = (client: number) =>
    service.request('POST', `/v1/domains/disk-${client}/disks`, {
      vdev: 'xvda',
      target: 'data.img',
    });
  const statuses = await atOnce(attach);
  expect(statuses).toEqual(oneOf(201, 409));
});

test('one of those who make a disk, or upload one, of the same name makes it', async () => {
  const make = () => service.request('POST', '/v1/disks', { name: 'made.img', size: 512 });
  expect(await atOnce(make)).toEqual(oneOf(201, 409));
  const upload = (client: number) =>
    fetch(`${service.url}/v1/disks/sent.img`, {
      method: 'PUT',
      body: `disk ${client}`.repeat(100),
    });
  expect(await atOnce(upload)).toEqual(oneOf(201, 409));
});
