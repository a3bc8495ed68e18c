/** Puts functions together into a WebAssembly module. Spec: WebAssembly core, §5.5 (modules). */

import type { Type } from '../x86/builder.js';
import { ByteWriter } from './byte-writer.js';

// biome-ignore format: one row per type
export const TYPE_CODE: Readonly<Record<Type, number>> = { i32: 0x7f, i64: 0x7e, f32: 0x7d, f64: 0x7c, v128: 0x7b };

export interface Signature {
  readonly params: readonly Type[];
  readonly results: readonly Type[];
}

interface Import extends Signature {
  readonly name: string;
}

/** The code of a function, local declarations included, and where its branches have hints. */
export interface FunctionBody {
  readonly bytes: Uint8Array;
  readonly hints: readonly BranchHint[];
}

/** A guess about an `if` or `br_if` at a byte offset within the body (proposal: branch hinting). */
export interface BranchHint {
  readonly offset: number;
  readonly likely: boolean;
}

interface Func extends Signature {
  body: FunctionBody | undefined;
}

const SECTION = {
  CUSTOM: 0,
  TYPE: 1,
  IMPORT: 2,
  FUNCTION: 3,
  TABLE: 4,
  EXPORT: 7,
  ELEMENT: 9,
  CODE: 10,
} as const;
const FUNCTION_TYPE = 0x60;
const FUNCTION_REFERENCE = 0x70;

/** Imports come first and must all be declared before the first function. */
export class WasmModule {
  readonly #types: string[] = [];
  readonly #signatures: Signature[] = [];
  readonly #imports: Import[] = [];
  readonly #functions: Func[] = [];
  readonly #exports: { name: string; index: number }[] = [];
  #table: readonly number[] = [];

  /** @returns the function's index. */
  import(name: string, signature: Signature): number {
    if (this.#functions.length > 0) throw new Error(`import ${name} after the first function`);
    return this.#imports.push({ name, ...signature }) - 1;
  }

  /** Reserves an index, so that functions can call each other. */
  declare(signature: Signature): number {
    return this.#imports.length + this.#functions.push({ ...signature, body: undefined }) - 1;
  }

  define(index: number, body: FunctionBody): void {
    const func = this.#functions[index - this.#imports.length];
    if (!func) throw new Error(`no function ${index}`);
    func.body = body;
  }

  export(name: string, index: number): void {
    this.#exports.push({ name, index });
  }

  /** The one table: what call_indirect takes. */
  setTable(functions: readonly number[]): void {
    this.#table = functions;
  }

  /** Index of a function type. */
  type(signature: Signature): number {
    const key = `${signature.params.join()}:${signature.results.join()}`;
    const known = this.#types.indexOf(key);
    if (known >= 0) return known;
    this.#signatures.push(signature);
    return this.#types.push(key) - 1;
  }

  /** The module in binary. It imports a shared memory `env.memory` of up to 4 GiB. */
  toBytes(memoryPages: number): Uint8Array<ArrayBuffer> {
    for (const { params, results } of [...this.#imports, ...this.#functions])
      this.type({ params, results });
    const out = new ByteWriter(1 << 16);
    out.bytes(new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]));
    this.#writeTypes(out);
    this.#writeImports(out, memoryPages);
    section(out, SECTION.FUNCTION, (s) => {
      s.u32(this.#functions.length);
      for (const func of this.#functions) s.u32(this.type(func));
    });
    this.#writeTable(out);
    section(out, SECTION.EXPORT, (s) => {
      s.u32(this.#exports.length);
      for (const { name, index } of this.#exports) {
        s.name(name);
        s.u8(0);
        s.u32(index);
      }
    });
    this.#writeElements(out);
    this.#writeHints(out);
    section(out, SECTION.CODE, (s) => {
      s.u32(this.#functions.length);
      for (const func of this.#functions) {
        if (!func.body) throw new Error('a declared function was never defined');
        s.u32(func.body.bytes.length);
        s.bytes(func.body.bytes);
      }
    });
    return out.view().slice() as Uint8Array<ArrayBuffer>;
  }

  #writeTypes(out: ByteWriter): void {
    section(out, SECTION.TYPE, (s) => {
      s.u32(this.#signatures.length);
      for (const { params, results } of this.#signatures) {
        s.u8(FUNCTION_TYPE);
        s.u32(params.length);
        for (const type of params) s.u8(TYPE_CODE[type]);
        s.u32(results.length);
        for (const type of results) s.u8(TYPE_CODE[type]);
      }
    });
  }

  #writeImports(out: ByteWriter, memoryPages: number): void {
    section(out, SECTION.IMPORT, (s) => {
      s.u32(this.#imports.length + 1);
      s.name('env');
      s.name('memory');
      s.u8(2); // a memory
      s.u8(3); // shared, with a maximum
      s.u32(memoryPages);
      s.u32(memoryPages);
      for (const { name, params, results } of this.#imports) {
        s.name('env');
        s.name(name);
        s.u8(0); // a function
        s.u32(this.type({ params, results }));
      }
    });
  }

  #writeTable(out: ByteWriter): void {
    if (this.#table.length === 0) return;
    section(out, SECTION.TABLE, (s) => {
      s.u32(1);
      s.u8(FUNCTION_REFERENCE);
      s.u8(1);
      s.u32(this.#table.length);
      s.u32(this.#table.length);
    });
  }

  #writeElements(out: ByteWriter): void {
    if (this.#table.length === 0) return;
    section(out, SECTION.ELEMENT, (s) => {
      s.u32(1);
      s.u8(0); // active, table 0
      s.u8(0x41); // i32.const 0
      s.s32(0);
      s.u8(0x0b);
      s.u32(this.#table.length);
      for (const index of this.#table) s.u32(index);
    });
  }

  /** Slow paths marked as such let V8 keep registers in registers on the fast one. */
  #writeHints(out: ByteWriter): void {
    section(out, SECTION.CUSTOM, (s) => {
      s.name('metadata.code.branch_hint');
      const hinted = this.#functions
        .map((func, i) => ({ index: this.#imports.length + i, hints: func.body?.hints ?? [] }))
        .filter(({ hints }) => hints.length > 0);
      s.u32(hinted.length);
      for (const { index, hints } of hinted) {
        s.u32(index);
        s.u32(hints.length);
        for (const { offset, likely } of hints) {
          s.u32(offset);
          s.u8(1);
          s.u8(likely ? 1 : 0);
        }
      }
    });
  }
}

function section(out: ByteWriter, id: number, fill: (section: ByteWriter) => void): void {
  const content = new ByteWriter(1 << 12);
  fill(content);
  out.u8(id);
  out.u32(content.length);
  out.bytes(content.view());
}
