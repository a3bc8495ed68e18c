/**
 * ELF64 images: headers, loadable segments and sections of an untrusted file.
 *
 * Spec: System V ABI, "Object Files"; AMD64 supplement. Nothing is believed that was not compared with the file's size.
 */

import { type ImageError, imageError, isImageError } from './image-error.js';

export interface ElfSegment {
  readonly type: number;
  readonly offset: number;
  readonly fileSize: number;
  readonly memorySize: number;
  readonly vaddr: bigint;
  readonly paddr: bigint;
}

export interface ElfSection {
  readonly name: string;
  readonly type: number;
  readonly offset: number;
  readonly size: number;
}

export interface ElfImage {
  readonly kind: 'elf';
  readonly bytes: Uint8Array;
  readonly entry: bigint;
  readonly segments: readonly ElfSegment[];
  readonly sections: readonly ElfSection[];
}

export const PT = { LOAD: 1, NOTE: 4 } as const;
export const SHT = { NOTE: 7, NOBITS: 8 } as const;

const EHDR_SIZE = 64;
const PHDR_SIZE = 56;
const SHDR_SIZE = 64;
const ELF_MAGIC = 0x464c_457f; // "\x7fELF"

// biome-ignore format: one row per field that has just one right value
const IDENTITY = [
  { field: 'e_ident[EI_CLASS]',   at: 4,  bytes: 1, right: [2],    expected: '2 (ELFCLASS64)' },
  { field: 'e_ident[EI_DATA]',    at: 5,  bytes: 1, right: [1],    expected: '1 (ELFDATA2LSB, little-endian)' },
  { field: 'e_ident[EI_VERSION]', at: 6,  bytes: 1, right: [1],    expected: '1 (EV_CURRENT)' },
  { field: 'e_type',              at: 16, bytes: 2, right: [2, 3], expected: '2 (ET_EXEC) or 3 (ET_DYN)' },
  { field: 'e_machine',           at: 18, bytes: 2, right: [62],   expected: '62 (EM_X86_64)' },
] as const;

/** @returns the image, or the first field that does not hold. */
export function parseElf(bytes: Uint8Array): ElfImage | ImageError {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const wrong = checkIdentity(view);
  if (wrong) return wrong;
  const segments = parseSegments(view);
  if (isImageError(segments)) return segments;
  return {
    kind: 'elf',
    bytes,
    entry: view.getBigUint64(24, true),
    segments: segments.list,
    sections: parseSections(view),
  };
}

function checkIdentity(view: DataView): ImageError | undefined {
  if (view.byteLength < 4 || view.getUint32(0, true) !== ELF_MAGIC) {
    const found = view.byteLength < 4 ? `${view.byteLength} bytes` : view.getUint32(0, true);
    return imageError('e_ident[EI_MAG0..3]', '0x464c457f ("\\x7fELF")', found);
  }
  if (view.byteLength < EHDR_SIZE) {
    return imageError('file size', `at least ${EHDR_SIZE} bytes`, `${view.byteLength} bytes`);
  }
  for (const { field, at, bytes, right, expected } of IDENTITY) {
    const found = bytes === 1 ? view.getUint8(at) : view.getUint16(at, true);
    if (!(right as readonly number[]).includes(found)) return imageError(field, expected, found);
  }
  return undefined;
}

function parseSegments(view: DataView): { list: ElfSegment[] } | ImageError {
  const size = view.byteLength;
  const table = view.getBigUint64(32, true);
  const entrySize = view.getUint16(54, true);
  const count = view.getUint16(56, true);
  if (count === 0) return imageError('e_phnum', 'at least one program header', 0);
  if (entrySize !== PHDR_SIZE) return imageError('e_phentsize', `${PHDR_SIZE}`, entrySize);
  if (table + BigInt(count * PHDR_SIZE) > BigInt(size)) {
    return imageError('e_phoff', `program headers within the file of ${size} bytes`, table);
  }
  const list: ElfSegment[] = [];
  for (let n = 0; n < count; n++) {
    const segment = parseSegment(view, Number(table) + n * PHDR_SIZE, `program header ${n}`);
    if (isImageError(segment)) return segment;
    list.push(segment);
  }
  return { list };
}

function parseSegment(view: DataView, at: number, name: string): ElfSegment | ImageError {
  const size = BigInt(view.byteLength);
  const type = view.getUint32(at, true);
  const [offset, vaddr, paddr, fileSize, memorySize] = [8, 16, 24, 32, 40].map((field) =>
    view.getBigUint64(at + field, true),
  ) as [bigint, bigint, bigint, bigint, bigint];
  if (type === PT.LOAD || type === PT.NOTE) {
    if (offset > size) return imageError(`${name} p_offset`, `at most ${size}`, offset);
    if (offset + fileSize > size) {
      return imageError(`${name} p_filesz`, `at most ${size - offset} (the file ends)`, fileSize);
    }
  }
  if (type === PT.LOAD) {
    if (memorySize < fileSize) {
      return imageError(`${name} p_memsz`, `at least p_filesz = ${fileSize}`, memorySize);
    }
    if (memorySize > 0xffff_ffffn) {
      return imageError(`${name} p_memsz`, 'less than 4 GiB', memorySize);
    }
  }
  return {
    type,
    offset: Number(offset),
    fileSize: Number(fileSize),
    memorySize: Number(memorySize),
    vaddr,
    paddr,
  };
}

/** Sections are a convenience: a table that does not hold counts as absent. */
function parseSections(view: DataView): ElfSection[] {
  const size = view.byteLength;
  const table = Number(view.getBigUint64(40, true));
  const count = view.getUint16(60, true);
  const names = view.getUint16(62, true);
  if (view.getUint16(58, true) !== SHDR_SIZE || table + count * SHDR_SIZE > size) return [];
  const raw = Array.from({ length: count }, (_, n) => {
    const at = table + n * SHDR_SIZE;
    return {
      nameAt: view.getUint32(at, true),
      type: view.getUint32(at + 4, true),
      offset: Number(view.getBigUint64(at + 24, true)),
      size: Number(view.getBigUint64(at + 32, true)),
    };
  });
  const strings = raw[names];
  if (strings === undefined || strings.offset + strings.size > size) return [];
  return raw
    .filter((section) => section.type !== SHT.NOBITS && section.offset + section.size <= size)
    .map((section) => ({
      name: cString(view, strings.offset + section.nameAt, strings.offset + strings.size),
      type: section.type,
      offset: section.offset,
      size: section.size,
    }));
}

/** The NUL-terminated text at a byte, cut at `end`. */
export function cString(view: DataView, at: number, end: number): string {
  let text = '';
  for (let n = at; n < end && n < view.byteLength; n++) {
    const byte = view.getUint8(n);
    if (byte === 0) break;
    text += String.fromCharCode(byte);
  }
  return text;
}
