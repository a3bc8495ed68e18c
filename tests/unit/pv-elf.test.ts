/** Kernel images: what is refused, with the field at fault, and where the parts of a good one go. */

import { describe, expect, test } from 'vitest';
import { parseElf } from '../../hypervisor/pv/elf.js';
import { type GuestNotes, readNotes } from '../../hypervisor/pv/elf-notes.js';
import { type ImageError, isImageError } from '../../hypervisor/pv/image-error.js';
import { planStartOfDay, type StartOfDay } from '../../hypervisor/pv/start-of-day.js';
import { BASE, image } from '../support/pv-machine.js';

const HELLO = image('hello');
const PAGES = 1024;

function load(bytes: Uint8Array, pages = PAGES, ramdisk = 0): StartOfDay | ImageError {
  const elf = parseElf(bytes);
  if (isImageError(elf)) return elf;
  const notes = readNotes(elf);
  if (isImageError(notes)) return notes;
  return planStartOfDay(elf, notes, pages, ramdisk);
}

const good = (bytes: Uint8Array, pages = PAGES, ramdisk = 0): StartOfDay => {
  const plan = load(bytes, pages, ramdisk);
  if (isImageError(plan)) throw new Error(`${plan.field}: ${plan.expected}, not ${plan.found}`);
  return plan;
};

/** hello with bytes replaced. */
function changed(at: number, ...bytes: number[]): Uint8Array {
  const copy = HELLO.slice();
  copy.set(bytes, at);
  return copy;
}

const view = new DataView(HELLO.buffer, HELLO.byteOffset);
const PHDR = Number(view.getBigUint64(32, true));
const FF = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];

// biome-ignore format: one row per lie
const LIES: readonly [what: string, image: Uint8Array, field: string][] = [
  ['nothing',                    new Uint8Array(0),          'e_ident[EI_MAG0..3]'],
  ['three bytes',                HELLO.slice(0, 3),          'e_ident[EI_MAG0..3]'],
  ['text',                       new TextEncoder().encode('#!/bin/sh\n'), 'e_ident[EI_MAG0..3]'],
  ['half a header',              HELLO.slice(0, 40),         'file size'],
  ['32-bit class',               changed(4, 1),              'e_ident[EI_CLASS]'],
  ['big-endian',                 changed(5, 2),              'e_ident[EI_DATA]'],
  ['version 2',                  changed(6, 2),              'e_ident[EI_VERSION]'],
  ['an object file',             changed(16, 1),             'e_type'],
  ['ARM64',                      changed(18, 183),           'e_machine'],
  ['program headers outside',    changed(32, ...FF),         'e_phoff'],
  ['strange program headers',    changed(54, 32),            'e_phentsize'],
  ['no program header',          changed(56, 0, 0),          'e_phnum'],
  ['too many program headers',   changed(56, 0xff, 0xff),    'e_phoff'],
  ['segment outside the file',   changed(PHDR + 8, ...FF),   'program header 0 p_offset'],
  ['segment longer than file',   changed(PHDR + 32, ...FF),  'program header 0 p_filesz'],
  ['memory smaller than file',   changed(PHDR + 40, 1, 0),   'program header 0 p_memsz'],
  ['a segment of 2^63 bytes',    changed(PHDR + 40, ...FF),  'program header 0 p_memsz'],
  ['cut in the first segment',   HELLO.slice(0, 0x1000),     'program header 0 p_filesz'],
  ['segment beyond memory',      changed(PHDR + 24, ...FF),  'memory'],
];

describe('a lying image is refused with the field at fault', () => {
  test.each(LIES)('%s', (_what, bytes, field) => {
    expect(load(bytes)).toMatchObject({ kind: 'error', field });
  });

  test('an image larger than memory tells both figures', () => {
    expect(load(HELLO, 4)).toMatchObject({
      field: 'memory',
      expected: expect.stringContaining('16 KiB'),
    });
    expect(load(HELLO, 1000)).toMatchObject({ field: 'memory', found: '4000 KiB of memory' });
  });

  test('any cut and any damaged byte of the header gives a value, never an exception', () => {
    for (let length = 0; length < 600; length++) load(HELLO.slice(0, length));
    for (let at = 0; at < 600; at++) for (const byte of [0, 1, 0x7f, 0xff]) load(changed(at, byte));
  });
});

/** Notes of an image made of text. */
function notesOf(features: string): GuestNotes | ImageError {
  const elf = parseElf(HELLO);
  if (isImageError(elf)) throw new Error('hello is no ELF');
  const section = (name: string, text: string) => ({ name, type: 1, offset: 0, size: text.length });
  const text = `GUEST_OS=test,XEN_VER=xen-3.0,LOADER=generic,VIRT_BASE=0xffffffff80000000,HYPERCALL_PAGE=0x1,FEATURES=${features}`;
  const bytes = new TextEncoder().encode(text);
  return readNotes({ ...elf, bytes, segments: [], sections: [section('__xen_guest', text)] });
}

describe('notes', () => {
  test('those of hello', () => {
    const elf = parseElf(HELLO);
    expect(isImageError(elf) ? elf : readNotes(elf)).toMatchObject({
      source: 'notes',
      xenVersion: 'xen-3.0',
      loader: 'generic',
      virtBase: 0xffff_ffff_8000_0000n,
    });
  });

  test('the legacy section, whose hypercall page is counted in pages', () => {
    expect(notesOf('')).toMatchObject({
      source: '__xen_guest',
      hypercallPage: 0xffff_ffff_8000_1000n,
    });
  });

  test.each([
    ['!writable_page_tables|pae_pgdir_above_4gb', [0]],
    ['some_unknown_wish', []],
  ])('features %s', (features, required) => {
    expect(notesOf(features)).toMatchObject({ required });
  });

  test.each(['!telepathy', '!auto_translated_physmap', '!dom0'])(
    'required %s is refused',
    (name) => {
      expect(notesOf(name)).toMatchObject({ field: 'ELF note XEN_ELFNOTE_FEATURES', found: name });
    },
  );

  test('an image for no Xen is refused', () => {
    const elf = parseElf(HELLO);
    if (isImageError(elf)) throw new Error('hello is no ELF');
    expect(readNotes({ ...elf, segments: [], sections: [] })).toMatchObject({ field: 'ELF notes' });
  });
});

describe('start of day', () => {
  test('parts follow each other, 512 KiB of room are mapped behind them, to 4 MiB', () => {
    const plan = good(HELLO);
    const { ramdisk, p2m, startInfo, xenstore, console, pageTables, bootStack, mappedPages } = plan;
    expect([startInfo, xenstore, console]).toEqual([
      p2m.pfn + p2m.pages,
      startInfo + 1,
      startInfo + 2,
    ]);
    expect(ramdisk.pages).toBe(0);
    expect(pageTables).toEqual({ pfn: console + 1, pages: 5 }); // L4 L3 L2 and two L1
    expect(bootStack).toBe(pageTables.pfn + pageTables.pages);
    expect(mappedPages).toBe(1024);
    expect(plan.p2mAddress).toBe(BASE + p2m.pfn * 4096);
  });

  test('a ramdisk lies behind the image, and all moves up', () => {
    const plan = good(HELLO, 4096, 5 << 20);
    expect(plan.ramdisk.pages).toBe(1280);
    expect(plan.p2m.pfn).toBe(plan.ramdisk.pfn + 1280);
    expect(plan.mappedPages).toBe(2048);
  });

  test('INIT_P2M and MOD_START_PFN put list and ramdisk behind what is mapped', () => {
    const elf = parseElf(HELLO);
    if (isImageError(elf)) throw new Error('hello is no ELF');
    const notes = readNotes(elf);
    if (isImageError(notes)) throw new Error('hello has no notes');
    const wishes = { ...notes, initP2m: 0x80_0000_0000n, modStartPfn: true };
    const plan = planStartOfDay(elf, wishes, 2048, 4096);
    expect(plan).toMatchObject({
      p2mAddress: 0x80_0000_0000,
      p2m: { pfn: 1024, pages: 4 },
      p2mTables: 3,
      ramdisk: { pfn: 1031, pages: 1 },
    });
  });
});
