/**
 * Names for the addresses of domains, by the symbols of their kernels: those in the kernel's own file, or in an image beside it,
 * `KERNEL.map` or, for `vmlinuz-6.1`, `System.map-6.1`. A table is loaded when somebody first asks for it, once for all domains of an image.
 * A kernel without symbols, and one whose file is no longer what the domain was built from, name nothing.
 */

import type { KernelSymbols, SymbolsQuery } from '../schemas/symbols.js';
import { CommandError } from './errors.js';
import type { Images, LoadedImage } from './images.js';
import { elfSymbols, mapSymbols, SymbolTable } from './symbol-table.js';

/** Tables kept. */
const KEPT = 8;
/** Domains whose kernels are remembered: those that have ended are named in what was recorded of them. */
const REMEMBERED = 1024;

/** What a domain runs. */
export interface KernelOf {
  readonly kernel: string;
  /** Name of the image's bytes (images.ts), undefined if it was built from something else. */
  readonly image?: string | undefined;
}

type Source = KernelSymbols['source'];
interface Loaded {
  readonly table: SymbolTable;
  readonly source: Source;
}

const NOTHING: Loaded = { table: new SymbolTable([]), source: 'none' };

export class Symbols {
  readonly #images: Images;
  /** By domid. */
  readonly #kernels = new Map<number, KernelOf>();
  /** By image, the one loaded last at the end: what was found; undefined while that is not known, and if it was nothing. */
  readonly #tables = new Map<string, Loaded | undefined>();

  constructor(images: Images) {
    this.#images = images;
  }

  /** A domain has been built. */
  remember(domid: number, kernel: KernelOf): void {
    this.#kernels.set(domid, kernel);
    // What was not found for an earlier one may have been uploaded since.
    const key = keyOf(kernel);
    if (this.#tables.get(key) === undefined) this.#tables.delete(key);
    for (const oldest of this.#kernels.keys()) {
      if (this.#kernels.size <= REMEMBERED) break;
      this.#kernels.delete(oldest);
    }
  }

  /** The name of an address, undefined if there is none, or none yet: a large table is not waited for. */
  readonly nameOf = (domid: number, address: bigint): string | undefined => {
    const kernel = this.#kernels.get(domid);
    return kernel && this.#table(kernel)?.table.nameOf(address);
  };

  /** Puts names behind the addresses of a text: what stands behind `rip`. */
  annotate(domid: number, text: string): string {
    return text.replaceAll(RIP, (whole: string, digits: string) => {
      const name = this.nameOf(domid, BigInt(`0x${digits}`));
      return name === undefined ? whole : `${whole} <${name}>`;
    });
  }

  /** Throws `bad-value` if an address is none. */
  async find(domid: number, { address, name }: SymbolsQuery): Promise<KernelSymbols> {
    const kernel = this.#kernels.get(domid);
    const { table, source } = kernel ? await this.#load(kernel) : NOTHING;
    const byAddress = (address ?? []).map((text) => {
      const symbol = table.nameOf(requireAddress(text));
      return { address: text, ...(symbol !== undefined && { symbol }) };
    });
    const byName = (name ?? []).map((symbol) => {
      const at = table.addressOf(symbol);
      return { symbol, ...(at !== undefined && { address: `0x${at.toString(16)}` }) };
    });
    return { source, symbols: table.count, found: [...byAddress, ...byName] };
  }

  /** The table if it is there; otherwise it is being loaded from now on. */
  #table(kernel: KernelOf): Loaded | undefined {
    const key = keyOf(kernel);
    if (this.#tables.has(key)) return this.#tables.get(key);
    const small = this.#images.small(kernel.kernel);
    if (small && isOf(kernel, small)) {
      const table = elfSymbols(small.bytes);
      if (table.count > 0) return this.#keep(key, { table, source: 'elf' });
    }
    this.#tables.set(key, undefined);
    void this.#load(kernel);
    return undefined;
  }

  async #load(kernel: KernelOf): Promise<Loaded> {
    const key = keyOf(kernel);
    const known = this.#tables.get(key);
    return known ?? this.#keep(key, await this.#read(kernel));
  }

  async #read(kernel: KernelOf): Promise<Loaded> {
    const image = await this.#images.load(kernel.kernel, 'kernel').catch(() => undefined);
    if (!image || !isOf(kernel, image)) return NOTHING;
    const own = elfSymbols(image.bytes);
    if (own.count > 0) return { table: own, source: 'elf' };
    for (const name of mapsOf(kernel.kernel)) {
      const text = await this.#images.text(name);
      const table = text === undefined ? NOTHING.table : mapSymbols(text);
      if (table.count > 0) return { table, source: 'map' };
    }
    return NOTHING;
  }

  #keep(key: string, loaded: Loaded): Loaded {
    this.#tables.delete(key);
    // What was not found is not looked for at every address, but when somebody asks for it or another domain is built.
    this.#tables.set(key, loaded.source === 'none' ? undefined : loaded);
    for (const oldest of this.#tables.keys()) {
      if (this.#tables.size <= KEPT) break;
      this.#tables.delete(oldest);
    }
    return loaded;
  }
}

/** Addresses in what the hypervisor says of a vCPU: `rip 0xffffffff81000000`, with or without 0x. */
const RIP = /\brip (?:0x)?([0-9a-f]{1,16})\b/g;

const keyOf = ({ kernel, image }: KernelOf): string => image ?? `file ${kernel}`;

const isOf = ({ image }: KernelOf, loaded: LoadedImage): boolean =>
  image === undefined || image === loaded.name;

/** Images that may hold the symbols of a kernel. */
const mapsOf = (kernel: string): string[] => [
  `${kernel}.map`,
  ...(LINUX.test(kernel) ? [kernel.replace(LINUX, 'System.map')] : []),
];
const LINUX = /(vmlinuz|vmlinux|bzImage)(?=[^/]*$)/;

function requireAddress(text: string): bigint {
  if (/^(0x)?[0-9a-f]{1,16}$/i.test(text)) return BigInt(`0x${text.replace(/^0x/i, '')}`);
  throw new CommandError('bad-value', `address: "${text}" is no address.`, {
    errors: [
      {
        pointer: '?address',
        detail: 'no address',
        expected: 'up to 16 hexadecimal digits',
        found: text,
      },
    ],
  });
}
