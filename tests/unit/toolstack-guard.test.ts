/** Who may ask: Host and Origin of a request. */

import type { IncomingMessage } from 'node:http';
import { expect, test } from 'vitest';
import { refusal } from '../../toolstack/api/guard.js';

const request = (headers: object, localAddress = '127.0.0.1') =>
  ({ headers, socket: { localAddress } }) as unknown as IncomingMessage;

// biome-ignore format: one row per request
test.each([
  [{ host: 'localhost:8732' }],
  [{ host: '127.0.0.1' }],
  [{ host: '[::1]:8732' }],
  [{ host: 'LOCALHOST:1' }],
  [{ host: 'localhost:8732', origin: 'http://localhost:8732' }],
  [{ host: 'localhost:8732', 'sec-fetch-site': 'same-origin', 'sec-fetch-mode': 'cors' }],
  [{ host: 'localhost:8732', 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' }],
])('%j is taken', (headers) => {
  expect(refusal(request(headers), [])).toBeUndefined();
});

// biome-ignore format: one row per request
test.each([
  [{}],
  [{ host: '' }],
  [{ host: 'evil.example' }],
  [{ host: 'localhost.evil.example:8732' }],
  [{ host: '127.0.0.1.nip.io' }],
  [{ host: 'localhost:8732', origin: 'https://evil.example' }],
  [{ host: 'localhost:8732', origin: 'http://localhost:3000' }],
  [{ host: 'localhost:8732', origin: 'null' }],
  [{ host: 'a b' }],
  [{ host: '10.0.0.1:8732' }],
  [{ host: 'localhost:8732', 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors' }],
])('%j is refused', (headers) => {
  expect(refusal(request(headers), [])).toBeTypeOf('string');
});

// biome-ignore format: one row per name
test.each([
  ['10.0.0.1:8732',        '10.0.0.1',        [],               true],
  ['10.0.0.1:8732',        '::ffff:10.0.0.1', [],               true],
  ['[fd00::1]:8732',       'fd00::1',         [],               true],
  ['10.0.0.2:8732',        '10.0.0.1',        [],               false],
  ['xen.example.com',      '10.0.0.1',        ['xen.example.com'], true],
  ['evil.example.com',     '10.0.0.1',        ['xen.example.com'], false],
])('Host %s at %s with the names %j: %j', (host, address, names, taken) => {
  expect(refusal(request({ host }, address), names) === undefined).toBe(taken);
});
