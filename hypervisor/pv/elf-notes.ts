/**
 * What a kernel image says about itself: Xen's ELF notes, or the legacy __xen_guest section.
 *
 * Spec: xen/include/public/elfnote.h. Notes win over the section, program headers win over section headers.
 */

import { XEN_ELFNOTE } from '../public/elfnote.js';
import { XENFEAT } from '../public/version.js';
import { cString, type ElfImage, PT, SHT } from './elf.js';
import { type ImageError, imageError, isImageError } from './image-error.js';

export interface GuestNotes {
  readonly source: 'notes' | '__xen_guest';
  readonly guestOs: string;
  readonly guestVersion: string;
  readonly xenVersion: string;
  readonly loader: string;
  readonly entry?: bigint;
  readonly hypercallPage?: bigint;
  readonly virtBase?: bigint;
  readonly paddrOffset?: bigint;
  readonly initP2m?: bigint;
  readonly modStartPfn: boolean;
  readonly features: string;
  /** Features the kernel cannot do without, by XENFEAT number. */
  readonly required: readonly number[];
  readonly suspendCancel: boolean;
}

/** Features that a 64-bit PV domain has, or that change nothing for a kernel that names them, as on Xen. */
const OFFERED: ReadonlySet<number> = new Set([
  XENFEAT.PAE_PGDIR_ABOVE_4GB,
  XENFEAT.MMU_PT_UPDATE_PRESERVE_AD,
  XENFEAT.HIGHMEM_ASSIST,
  XENFEAT.GNTTAB_MAP_AVAIL_BITS,
  XENFEAT.MEMORY_OP_VNODE_SUPPORTED,
  XENFEAT.DIRECT_MAPPED,
  // Named by Linux and Mini-OS, which then do without: writes to tables are emulated or made by hypercall.
  XENFEAT.WRITABLE_PAGE_TABLES,
  XENFEAT.WRITABLE_DESCRIPTOR_TABLES,
]);

type Values = Map<number, string | bigint>;
const NAMESZ_LIMIT = 256;

/** @returns what the image says, or the note that cannot be met. */
export function readNotes(image: ElfImage): GuestNotes | ImageError {
  const notes = collectNotes(image);
  if (isImageError(notes)) return notes;
  if (notes.size > 0) return interpret('notes', notes);
  const legacy = image.sections.find((section) => section.name === '__xen_guest');
  if (!legacy) {
    const expected = 'ELF notes of name "Xen", or a section __xen_guest';
    return imageError('ELF notes', expected, 'neither: this is no kernel for Xen');
  }
  const view = viewOf(image.bytes);
  return interpret(
    '__xen_guest',
    parseLegacy(cString(view, legacy.offset, legacy.offset + legacy.size)),
  );
}

const viewOf = (bytes: Uint8Array) =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

function collectNotes(image: ElfImage): Values | ImageError {
  const values: Values = new Map();
  const view = viewOf(image.bytes);
  for (const segment of image.segments) {
    if (segment.type !== PT.NOTE) continue;
    const wrong = parseNotes(view, segment.offset, segment.offset + segment.fileSize, values);
    if (wrong) return wrong;
  }
  if (values.size > 0) return values;
  for (const section of image.sections) {
    if (section.type !== SHT.NOTE) continue;
    const wrong = parseNotes(view, section.offset, section.offset + section.size, values);
    if (wrong) return wrong;
  }
  return values;
}

const align4 = (n: number) => Math.ceil(n / 4) * 4;

/** A note: namesz, descsz, type, then name and descriptor, each padded to four bytes. */
function parseNotes(
  view: DataView,
  start: number,
  end: number,
  into: Values,
): ImageError | undefined {
  for (let at = start; at + 12 <= end; ) {
    const nameSize = view.getUint32(at, true);
    const size = view.getUint32(at + 4, true);
    const type = view.getUint32(at + 8, true);
    const descriptor = at + 12 + align4(nameSize);
    if (nameSize > NAMESZ_LIMIT || descriptor + size > end) {
      return imageError('ELF note n_namesz, n_descsz', `a note within ${end - at} bytes`, size);
    }
    if (cString(view, at + 12, at + 12 + nameSize) === 'Xen') {
      const value = noteValue(view, type, descriptor, size);
      if (typeof value === 'object') return value;
      into.set(type, value);
    }
    at = descriptor + align4(size);
  }
  return undefined;
}

const NOTE_NAMES = new Map<number, string>(
  Object.entries(XEN_ELFNOTE).map(([name, number]) => [number, name]),
);
const TEXT_NOTES: ReadonlySet<number> = new Set([
  XEN_ELFNOTE.INFO,
  XEN_ELFNOTE.XEN_VERSION,
  XEN_ELFNOTE.GUEST_OS,
  XEN_ELFNOTE.GUEST_VERSION,
  XEN_ELFNOTE.LOADER,
  XEN_ELFNOTE.PAE_MODE,
  XEN_ELFNOTE.FEATURES,
  XEN_ELFNOTE.BSD_SYMTAB,
]);

function noteValue(view: DataView, type: number, at: number, size: number) {
  if (TEXT_NOTES.has(type)) return cString(view, at, at + size);
  if (size === 4) return BigInt(view.getUint32(at, true));
  if (size === 8) return view.getBigUint64(at, true);
  // L1_MFN_VALID is a list of pairs; notes newer than this list are not ours to judge.
  if (type === XEN_ELFNOTE.L1_MFN_VALID || !NOTE_NAMES.has(type)) return 0n;
  return imageError(
    `ELF note XEN_ELFNOTE_${NOTE_NAMES.get(type)}`,
    '4 or 8 bytes',
    `${size} bytes`,
  );
}

// biome-ignore format: one row per key
const LEGACY_KEYS: Readonly<Record<string, { note: number; parse: (text: string) => string | bigint }>> = {
  GUEST_OS:       { note: XEN_ELFNOTE.GUEST_OS,       parse: (text) => text },
  GUEST_VER:      { note: XEN_ELFNOTE.GUEST_VERSION,  parse: (text) => text },
  XEN_VER:        { note: XEN_ELFNOTE.XEN_VERSION,    parse: (text) => text },
  LOADER:         { note: XEN_ELFNOTE.LOADER,         parse: (text) => text },
  PAE:            { note: XEN_ELFNOTE.PAE_MODE,       parse: (text) => text },
  BSD_SYMTAB:     { note: XEN_ELFNOTE.BSD_SYMTAB,     parse: () => 'yes' },
  FEATURES:       { note: XEN_ELFNOTE.FEATURES,       parse: (text) => text },
  VIRT_BASE:      { note: XEN_ELFNOTE.VIRT_BASE,      parse: number },
  VIRT_ENTRY:     { note: XEN_ELFNOTE.ENTRY,          parse: number },
  ELF_PADDR_OFFSET: { note: XEN_ELFNOTE.PADDR_OFFSET, parse: number },
  HYPERCALL_PAGE: { note: XEN_ELFNOTE.HYPERCALL_PAGE, parse: number },
};

/** A number in C notation; text that is none counts as 0, as strtoull has it. */
function number(text: string): bigint {
  return /^(0x[0-9a-f]+|[0-9]+)$/i.test(text) ? BigInt.asUintN(64, BigInt(text)) : 0n;
}

/** "GUEST_OS=linux,XEN_VER=xen-3.0,VIRT_BASE=0xC0000000,HYPERCALL_PAGE=0x2,…" */
function parseLegacy(text: string): Values {
  const values: Values = new Map();
  for (const item of text.split(',')) {
    const [key = '', ...rest] = item.split('=');
    const row = LEGACY_KEYS[key.trim()];
    if (row) values.set(row.note, row.parse(rest.join('=')));
  }
  // The legacy section gives the hypercall page as a page number relative to VIRT_BASE.
  const page = values.get(XEN_ELFNOTE.HYPERCALL_PAGE);
  const base = values.get(XEN_ELFNOTE.VIRT_BASE);
  if (typeof page === 'bigint') {
    const start = typeof base === 'bigint' ? base : 0n;
    values.set(XEN_ELFNOTE.HYPERCALL_PAGE, BigInt.asUintN(64, start + page * 4096n));
  }
  return values;
}

function interpret(source: GuestNotes['source'], values: Values): GuestNotes | ImageError {
  const text = (note: number) => {
    const value = values.get(note);
    return typeof value === 'string' ? value : '';
  };
  const given = <K extends string>(name: K, note: number) => {
    const value = values.get(note);
    return (typeof value === 'bigint' ? { [name]: value } : {}) as { readonly [P in K]?: bigint };
  };
  const xenVersion = text(XEN_ELFNOTE.XEN_VERSION);
  const loader = text(XEN_ELFNOTE.LOADER);
  const guestOs = text(XEN_ELFNOTE.GUEST_OS);
  if (!xenVersion.startsWith('xen-3.0')) {
    return imageError('ELF note XEN_ELFNOTE_XEN_VERSION', 'xen-3.0', xenVersion || 'no such note');
  }
  if (!loader.startsWith('generic') && !guestOs.startsWith('linux')) {
    return imageError('ELF note XEN_ELFNOTE_LOADER', 'generic', loader || 'no such note');
  }
  const required = requiredFeatures(text(XEN_ELFNOTE.FEATURES));
  if ('kind' in required) return required;
  return {
    source,
    guestOs,
    guestVersion: text(XEN_ELFNOTE.GUEST_VERSION),
    xenVersion,
    loader,
    ...given('entry', XEN_ELFNOTE.ENTRY),
    ...given('hypercallPage', XEN_ELFNOTE.HYPERCALL_PAGE),
    ...given('virtBase', XEN_ELFNOTE.VIRT_BASE),
    ...given('paddrOffset', XEN_ELFNOTE.PADDR_OFFSET),
    ...given('initP2m', XEN_ELFNOTE.INIT_P2M),
    modStartPfn: values.get(XEN_ELFNOTE.MOD_START_PFN) === 1n,
    features: text(XEN_ELFNOTE.FEATURES),
    required,
    suspendCancel: values.get(XEN_ELFNOTE.SUSPEND_CANCEL) === 1n,
  };
}

/** Features marked "!" must be known and offered; the others are the kernel's own affair. */
function requiredFeatures(features: string): number[] | ImageError {
  const required: number[] = [];
  for (const item of features.split('|')) {
    const name = item.trim();
    if (!name.startsWith('!')) continue;
    const feature = (XENFEAT as Readonly<Record<string, number>>)[name.slice(1).toUpperCase()];
    if (feature === undefined || !OFFERED.has(feature)) {
      const known = Object.entries(XENFEAT).filter(([, number]) => OFFERED.has(number));
      const expected = `required features among ${known.map(([known]) => known.toLowerCase()).join(', ')}`;
      return imageError('ELF note XEN_ELFNOTE_FEATURES', expected, name);
    }
    required.push(feature);
  }
  return required;
}
