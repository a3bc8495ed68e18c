/** Symbol tables: names by address, out of ELF files and System.map, whatever is in them. */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { elfSymbols, mapSymbols, SymbolTable } from '../../toolstack/domains/symbol-table.js';

const table = new SymbolTable([
  { address: 0x2000n, size: 0x10n, name: 'second' },
  { address: 0x1000n, size: 0n, name: 'label' },
  { address: 0x1000n, size: 0x20n, name: 'first' },
  { address: 0x3000n, size: 0n, name: 'third' },
]);

// biome-ignore format: one row per address
test.each([
  [0x0fffn,    undefined],
  [0x1000n,    'first'],
  [0x101fn,    'first+0x1f'],
  [0x1020n,    'first+0x20'], // a call that never returns is the last instruction of some functions
  [0x1021n,    undefined],
  [0x2004n,    'second+0x4'],
  [0x3004n,    'third+0x4'],
  [0x9999_9999n, undefined],
])('%x is %s', (address, name) => {
  expect(table.nameOf(address)).toBe(name);
});

test('names have addresses', () => {
  expect([table.addressOf('second'), table.addressOf('none')]).toEqual([0x2000n, undefined]);
});

test('lines of a map that are none are left out, and a map that holds no more than a hint is empty', () => {
  const text =
    'hello\nffffffff81000000 T _text\n0000 T short\nffffffff81000010 U undefined\nffffffff81000020 t local\n';
  expect(mapSymbols(text).count).toBe(2);
  expect(mapSymbols(text).nameOf(0xffff_ffff_8100_0024n)).toBe('local+0x4');
  expect(mapSymbols('ffffffffffffffff B The real System.map is elsewhere\n').count).toBe(0);
});

test('any bytes behind the head of an ELF file are taken for what they are: no symbols, or some', () => {
  const head = [0x7f, 0x45, 0x4c, 0x46];
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 60, maxLength: 400 }), (rest) => {
      const bytes = Uint8Array.from([...head, ...rest]);
      // Sections inside the file, so that something is looked at.
      new DataView(bytes.buffer).setBigUint64(40, BigInt(rest[0] ?? 0), true);
      new DataView(bytes.buffer).setUint16(58, 64, true);
      new DataView(bytes.buffer).setUint16(60, (rest[1] ?? 0) % 6, true);
      expect(elfSymbols(bytes).count).toBeGreaterThanOrEqual(0);
    }),
    { numRuns: 2000 },
  );
  expect(elfSymbols(new Uint8Array(3)).count).toBe(0);
});
