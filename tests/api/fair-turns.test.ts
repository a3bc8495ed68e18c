/** A client that connects is not kept waiting by those that are there already and ask all the time. Counted in answers, not in time. */

import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestService, type TestService, TestSocket } from '../support/service.js';

const BUSY = 64;
const NEWCOMERS = 32;
const ASKED = 'GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n';
const ANSWER_END = '{"alive":true}';

let service: TestService;
beforeAll(async () => {
  service = await startTestService({ memory: 16, rateLimit: 0 });
});
afterAll(() => service.close());

/** A client that asks again as soon as it is answered. */
function busyClient(answered: () => void): Socket {
  const socket = connect(Number(new URL(service.url).port), '127.0.0.1');
  let text = '';
  socket.on('connect', () => socket.write(ASKED));
  socket.on('error', () => undefined);
  socket.on('data', (bytes) => {
    text += bytes;
    if (!text.endsWith(ANSWER_END)) return;
    text = '';
    answered();
    socket.write(ASKED);
  });
  return socket;
}

test(`${NEWCOMERS} WebSockets open before ${BUSY} busy clients have had ten answers each`, async () => {
  let answers = 0;
  let warm: () => void = () => undefined;
  const isWarm = new Promise<void>((resolve) => {
    warm = resolve;
  });
  const clients = Array.from({ length: BUSY }, () =>
    busyClient(() => {
      answers++;
      if (answers === BUSY * 10) warm();
    }),
  );
  await isWarm;
  const before = answers;
  const newcomers = Array.from(
    { length: NEWCOMERS },
    () => new TestSocket(`${service.url}/v1/events`),
  );
  await Promise.all(newcomers.map((newcomer) => newcomer.opened()));
  const meanwhile = answers - before;
  for (const { socket } of newcomers) socket.terminate();
  for (const client of clients) client.destroy();
  // A round of everybody for each of them would be NEWCOMERS * BUSY, which is three times as many.
  expect(meanwhile).toBeLessThan(BUSY * 10);
});
