/** Who may ask: Host and Origin of a request. */

import type { IncomingMessage } from 'node:http';
import { expect, test } from 'vitest';
import { refusal } from '../../toolstack/api/guard.js';

const request = (headers: object) => ({ headers }) as IncomingMessage;

// biome-ignore format: one row per request
test.each([
  [{ host: 'localhost:8732' }],
  [{ host: '127.0.0.1' }],
  [{ host: '[::1]:8732' }],
  [{ host: 'LOCALHOST:1' }],
  [{ host: 'localhost:8732', origin: 'http://localhost:8732' }],
])('%j is taken', (headers) => {
  expect(refusal(request(headers))).toBeUndefined();
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
])('%j is refused', (headers) => {
  expect(refusal(request(headers))).toBeTypeOf('string');
});
