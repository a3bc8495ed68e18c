/** Which instructions are fences. */

import { Decoder, DecoderOptions } from 'iced-x86';
import { expect, test } from 'vitest';
import { isFence } from '../../hypervisor/x86/fences.js';

// biome-ignore format: one row per instruction
test.each([
  ['lock add dword ptr [rsp-4], 0', 'f0 83 44 24 fc 00', true],
  ['lock cmpxchg [rdi], rsi',       'f0 48 0f b1 37',    true],
  ['xchg [rdi], eax',               '87 07',             true],
  ['mfence',                        '0f ae f0',          true],
  ['xchg ecx, eax',                 '91',                false],
  ['xchg ebx, eax, long form',      '87 c3',             false],
  ['add dword ptr [rsp-4], 0',      '83 44 24 fc 00',    false],
  ['cmpxchg [rdi], rsi',            '48 0f b1 37',       false],
  ['lfence',                        '0f ae e8',          false],
  ['sfence',                        '0f ae f8',          false],
])('%s', (_, hex, expected) => {
  const bytes = Uint8Array.from(hex.split(' '), (byte) => Number.parseInt(byte, 16));
  expect(isFence(new Decoder(64, bytes, DecoderOptions.None).decode())).toBe(expected);
});
