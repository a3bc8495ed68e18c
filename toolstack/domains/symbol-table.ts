/**
 * Symbols of a kernel: names for its addresses and addresses for its names. They come from the ELF file's own table, or from text
 * as `nm` and Linux's System.map have it. Nothing in either is believed that was not compared with the file's size.
 * Spec: System V ABI, "Symbol Table"; nm(1).
 */

/** ELF64, little-endian: where what is. */
const HEADER = { SIZE: 64, SECTIONS_AT: 40, SECTION_SIZE: 58, SECTION_COUNT: 60 } as const;
const SECTION = { SIZE: 64, TYPE: 4, OFFSET: 24, LENGTH: 32, LINK: 40 } as const;
const SYMBOL = { SIZE: 24, INFO: 4, SHNDX: 6, VALUE: 8, LENGTH: 16 } as const;
const ELF_MAGIC = 0x7f45_4c46;
const SHT_SYMTAB = 2;
/** Kinds of symbols that name code or data: NOTYPE, OBJECT, FUNC. */
const NAMING_KINDS = 2;
const UNDEFINED_SECTION = 0;
const FIRST_RESERVED_SECTION = 0xff00;
/** Further behind a symbol whose size is not known than this, an address is not named by it. */
const REACH = 0x10_0000n;
/** Symbols and bytes of a name that are taken at most. */
const MOST_SYMBOLS = 1_000_000;
const LONGEST_NAME = 512;

interface NamedAddress {
  readonly address: bigint;
  /** Bytes, 0 if that is not known. */
  readonly size: bigint;
  readonly name: string;
}

export class SymbolTable {
  /** By address; of several at one address the one whose size is known, then the first. */
  readonly #symbols: readonly NamedAddress[];

  constructor(symbols: readonly NamedAddress[]) {
    this.#symbols = symbols.toSorted(
      (a, b) => compare(a.address, b.address) || compare(b.size, a.size),
    );
  }

  get count(): number {
    return this.#symbols.length;
  }

  /** `start_kernel+0x1a`; undefined if no symbol reaches the address. */
  nameOf(address: bigint): string | undefined {
    const last = this.#symbols[this.#firstFrom(address + 1n) - 1];
    const found = last && this.#symbols[this.#firstFrom(last.address)];
    if (found === undefined) return undefined;
    const offset = address - found.address;
    const reach = found.size > 0n ? found.size : REACH;
    // A call may be the last instruction of a function: it returns to just behind it.
    if (offset > reach) return undefined;
    return offset === 0n ? found.name : `${found.name}+0x${offset.toString(16)}`;
  }

  addressOf(name: string): bigint | undefined {
    return this.#symbols.find((symbol) => symbol.name === name)?.address;
  }

  /** Index of the first symbol at an address or above it. */
  #firstFrom(address: bigint): number {
    let [low, high] = [0, this.#symbols.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#symbols[middle]?.address ?? 0n) < address) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

const compare = (a: bigint, b: bigint): number => (a < b ? -1 : a > b ? 1 : 0);

/** The symbols of an ELF file: none if it was stripped, or is no such file. */
export function elfSymbols(bytes: Uint8Array): SymbolTable {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.byteLength < HEADER.SIZE || view.getUint32(0) !== ELF_MAGIC) return new SymbolTable([]);
  const sections = sectionsOf(view);
  const table = sections.find(({ type }) => type === SHT_SYMTAB);
  const strings = table && sections[table.link];
  return new SymbolTable(table && strings ? symbolsIn(view, table, strings) : []);
}

interface Section {
  readonly type: number;
  readonly offset: number;
  readonly length: number;
  readonly link: number;
}

/** Sections that lie within the file; those that do not are empty. */
function sectionsOf(view: DataView): Section[] {
  const at = Number(view.getBigUint64(HEADER.SECTIONS_AT, true));
  const count = view.getUint16(HEADER.SECTION_COUNT, true);
  const isWhole = at + count * SECTION.SIZE <= view.byteLength;
  if (view.getUint16(HEADER.SECTION_SIZE, true) !== SECTION.SIZE || !isWhole) return [];
  return Array.from({ length: count }, (_, n) => {
    const header = at + n * SECTION.SIZE;
    const offset = Number(view.getBigUint64(header + SECTION.OFFSET, true));
    const length = Number(view.getBigUint64(header + SECTION.LENGTH, true));
    const isInside = offset + length <= view.byteLength;
    return {
      type: view.getUint32(header + SECTION.TYPE, true),
      offset,
      length: isInside ? length : 0,
      link: view.getUint32(header + SECTION.LINK, true),
    };
  });
}

function symbolsIn(view: DataView, table: Section, strings: Section): NamedAddress[] {
  const symbols: NamedAddress[] = [];
  const count = Math.min(Math.floor(table.length / SYMBOL.SIZE), MOST_SYMBOLS);
  for (let n = 0; n < count; n++) {
    const at = table.offset + n * SYMBOL.SIZE;
    const kind = view.getUint8(at + SYMBOL.INFO) & 0xf;
    const section = view.getUint16(at + SYMBOL.SHNDX, true);
    if (kind > NAMING_KINDS || section === UNDEFINED_SECTION) continue;
    if (section >= FIRST_RESERVED_SECTION) continue; // a constant, no address
    const name = textAt(view, strings, view.getUint32(at, true));
    const address = view.getBigUint64(at + SYMBOL.VALUE, true);
    const size = view.getBigUint64(at + SYMBOL.LENGTH, true);
    if (name !== '') symbols.push({ address, size, name });
  }
  return symbols;
}

function textAt(view: DataView, { offset, length }: Section, from: number): string {
  const end = Math.min(length, from + LONGEST_NAME);
  let text = '';
  for (let n = from; n < end; n++) {
    const byte = view.getUint8(offset + n);
    if (byte === 0) break;
    text += String.fromCharCode(byte);
  }
  return text;
}

/** Lines of `address type name`, as `nm` writes them. Types: b d r t v w, in either case. */
const MAP_LINE = /^([0-9a-f]{8,16}) ([bdrtvw]) (\S{1,512})/gim;

/** The symbols of a System.map. */
export function mapSymbols(text: string): SymbolTable {
  const symbols: NamedAddress[] = [];
  for (const [, address, , name] of text.matchAll(MAP_LINE)) {
    if (address === undefined || name === undefined || symbols.length === MOST_SYMBOLS) break;
    symbols.push({ address: BigInt(`0x${address}`), size: 0n, name });
  }
  // A file that says only where the real one is has one symbol, at the end of all addresses.
  return new SymbolTable(symbols.length > 1 ? symbols : []);
}
