/**
 * The layout of a core, as Xen's tools write and crash(8) reads it: ELF without program headers, the contents in sections.
 *
 *   ELF header | section headers | names | notes | vCPUs | shared info | p2m | pages, at a multiple of a page
 *
 * Spec: Xen docs/misc/dump-core-format.txt, format version 0.1; elfnote.h; elf(5).
 */

import { MACH2PHYS_VIRT_START, vcpuGuestContext } from '../../hypervisor/public/arch-x86.js';
import { XEN_ELFNOTE } from '../../hypervisor/public/elfnote.js';
import type { MemoryList } from '../../hypervisor/public/privcmd.js';
import * as version from '../../hypervisor/public/version.js';

export const PAGE_SIZE = 4096;
const ELF_HEADER = 64;
const SECTION_HEADER = 64;
const P2M_ENTRY = 16;
/** XC_CORE_MAGIC: a paravirtualized domain. */
const MAGIC = 0xf00f_ebedn;
const FORMAT_VERSION = 1n;
const INVALID_PFN = 0xffff_ffff_ffff_ffffn;
// biome-ignore format: one row per constant
const ELF = { CLASS64: 2, LITTLE_ENDIAN: 1, VERSION: 1, TYPE_CORE: 4, MACHINE_X86_64: 62 } as const;
const SHT = { NULL: 0, PROGBITS: 1, STRTAB: 3, NOTE: 7 } as const;

export interface CoreContents {
  /** Version as guests are told it: "4.17.0-xenolith". */
  readonly xenVersion: string;
  /** A vcpu_guest_context each. */
  readonly vcpus: readonly Uint8Array[];
  readonly sharedInfo: Uint8Array;
  readonly memory: MemoryList;
}

interface Section {
  readonly name: string;
  readonly type: number;
  readonly align: number;
  readonly entry: number;
  readonly size: number;
  /** What lies in it; the pages are not here. */
  readonly parts: readonly Uint8Array[];
}

/** @returns everything before the pages, in order, and where these begin. */
export function coreHead(contents: CoreContents): { head: Uint8Array[]; pagesAt: number } {
  const sections = sectionsOf(contents);
  const names = stringTable(['', ...sections.map(({ name }) => name)]);
  const all = [
    ...sections
      .slice(0, 1)
      .map((first) => ({ ...first, size: names.bytes.length, parts: [names.bytes] })),
    ...sections.slice(1),
  ];
  const headers = new Uint8Array(ELF_HEADER + SECTION_HEADER * (all.length + 1));
  const view = new DataView(headers.buffer);
  writeElfHeader(view, all.length + 1);
  const head: Uint8Array[] = [headers];
  let at = headers.length;
  for (const [n, section] of all.entries()) {
    const start = Math.ceil(at / section.align) * section.align;
    head.push(new Uint8Array(start - at), ...section.parts);
    const header = ELF_HEADER + SECTION_HEADER * (n + 1);
    writeSectionHeader(view, header, section, names.offsets[n + 1] ?? 0, start);
    at = start + (section.name === PAGES ? 0 : section.size);
  }
  return { head, pagesAt: at };
}

const PAGES = '.xen_pages';

function sectionsOf({ xenVersion, vcpus, sharedInfo, memory }: CoreContents): Section[] {
  const pages = memory.mfns.length;
  const { size: context } = vcpuGuestContext;
  const notes = noteSection(xenVersion, vcpus.length, pages);
  // biome-ignore format: one row per section
  return [
    { name: '.shstrtab',        type: SHT.STRTAB,   align: 1,         entry: 0,         size: 0,                      parts: [] },
    { name: '.note.Xen',        type: SHT.NOTE,     align: 4,         entry: 0,         size: notes.length,           parts: [notes] },
    { name: '.xen_prstatus',    type: SHT.PROGBITS, align: 8,         entry: context,   size: context * vcpus.length, parts: vcpus },
    { name: '.xen_shared_info', type: SHT.PROGBITS, align: 8,         entry: PAGE_SIZE, size: PAGE_SIZE,              parts: [sharedInfo] },
    { name: '.xen_p2m',         type: SHT.PROGBITS, align: 8,         entry: P2M_ENTRY, size: P2M_ENTRY * pages,      parts: [p2m(memory)] },
    { name: PAGES,              type: SHT.PROGBITS, align: PAGE_SIZE, entry: PAGE_SIZE, size: PAGE_SIZE * pages,      parts: [] },
  ];
}

function writeElfHeader(view: DataView, sections: number): void {
  const ident = [0x7f, 0x45, 0x4c, 0x46, ELF.CLASS64, ELF.LITTLE_ENDIAN, ELF.VERSION];
  for (const [n, byte] of ident.entries()) view.setUint8(n, byte);
  view.setUint16(16, ELF.TYPE_CORE, true);
  view.setUint16(18, ELF.MACHINE_X86_64, true);
  view.setUint32(20, ELF.VERSION, true);
  view.setBigUint64(40, BigInt(ELF_HEADER), true); // section headers
  view.setUint16(52, ELF_HEADER, true);
  view.setUint16(58, SECTION_HEADER, true);
  view.setUint16(60, sections, true);
  view.setUint16(62, 1, true); // the names
}

function writeSectionHeader(
  view: DataView,
  at: number,
  { type, size, align, entry }: Section,
  name: number,
  offset: number,
): void {
  view.setUint32(at, name, true);
  view.setUint32(at + 4, type, true);
  view.setBigUint64(at + 24, BigInt(offset), true);
  view.setBigUint64(at + 32, BigInt(size), true);
  view.setBigUint64(at + 48, BigInt(align), true);
  view.setBigUint64(at + 56, BigInt(entry), true);
}

function stringTable(names: readonly string[]): { bytes: Uint8Array; offsets: number[] } {
  const offsets: number[] = [];
  let text = '';
  for (const name of names) {
    offsets.push(text.length);
    text += `${name}\0`;
  }
  return { bytes: new TextEncoder().encode(text), offsets };
}

function p2m({ mfns, pfns }: MemoryList): Uint8Array {
  const bytes = new Uint8Array(mfns.length * P2M_ENTRY);
  const words = new BigUint64Array(bytes.buffer);
  for (let n = 0; n < mfns.length; n++) {
    const pfn = pfns[n] ?? -1;
    words[n * 2] = pfn < 0 ? INVALID_PFN : BigInt(pfn);
    words[n * 2 + 1] = BigInt(mfns[n] ?? 0);
  }
  return bytes;
}

function noteSection(xenVersion: string, vcpus: number, pages: number): Uint8Array {
  const header = words([MAGIC, BigInt(vcpus), BigInt(pages), BigInt(PAGE_SIZE)]);
  const notes = [
    note(XEN_ELFNOTE.DUMPCORE_NONE, new Uint8Array(0)),
    note(XEN_ELFNOTE.DUMPCORE_HEADER, header),
    note(XEN_ELFNOTE.DUMPCORE_XEN_VERSION, versionNote(xenVersion)),
    note(XEN_ELFNOTE.DUMPCORE_FORMAT_VERSION, words([FORMAT_VERSION])),
  ];
  return Buffer.concat(notes);
}

/** Name and contents are multiples of four bytes each. */
function note(type: number, contents: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(16 + contents.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 4, true);
  view.setUint32(4, contents.length, true);
  view.setUint32(8, type, true);
  bytes.set(new TextEncoder().encode('Xen'), 12);
  bytes.set(contents, 16);
  return bytes;
}

const words = (values: readonly bigint[]): Uint8Array =>
  new Uint8Array(BigUint64Array.from(values).buffer);

const fixed = (text: string, bytes: number): Uint8Array => {
  const field = new Uint8Array(bytes);
  new TextEncoder().encodeInto(text, field.subarray(0, bytes - 1));
  return field;
};

/** What xen_version says, one answer after the other. */
function versionNote(xenVersion: string): Uint8Array {
  const [, major = '0', minor = '0', extra = ''] = /^(\d+)\.(\d+)(.*)$/.exec(xenVersion) ?? [];
  return Buffer.concat([
    words([BigInt(major), BigInt(minor)]),
    fixed(extra, version.XEN_EXTRAVERSION_LEN),
    fixed('', version.xenCompileInfo.size),
    fixed('xen-3.0-x86_64 ', version.XEN_CAPABILITIES_INFO_LEN),
    fixed('unavailable', version.XEN_CHANGESET_INFO_LEN),
    words([BigInt.asUintN(64, BigInt(MACH2PHYS_VIRT_START)), BigInt(PAGE_SIZE)]),
  ]);
}
