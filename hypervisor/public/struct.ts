/** Declares a C struct of the ABI once: offsets by the rules of the System V x86-64 ABI, codecs derived. */

// biome-ignore format: one row per type
const SCALARS = {
  u8:  { size: 1, get: (v: DataView, at: number): number => v.getUint8(at),            set: (v: DataView, at: number, x: number) => v.setUint8(at, x) },
  s8:  { size: 1, get: (v: DataView, at: number): number => v.getInt8(at),             set: (v: DataView, at: number, x: number) => v.setInt8(at, x) },
  u16: { size: 2, get: (v: DataView, at: number): number => v.getUint16(at, true),     set: (v: DataView, at: number, x: number) => v.setUint16(at, x, true) },
  s16: { size: 2, get: (v: DataView, at: number): number => v.getInt16(at, true),      set: (v: DataView, at: number, x: number) => v.setInt16(at, x, true) },
  u32: { size: 4, get: (v: DataView, at: number): number => v.getUint32(at, true),     set: (v: DataView, at: number, x: number) => v.setUint32(at, x, true) },
  s32: { size: 4, get: (v: DataView, at: number): number => v.getInt32(at, true),      set: (v: DataView, at: number, x: number) => v.setInt32(at, x, true) },
  u64: { size: 8, get: (v: DataView, at: number): bigint => v.getBigUint64(at, true),  set: (v: DataView, at: number, x: bigint) => v.setBigUint64(at, x, true) },
  s64: { size: 8, get: (v: DataView, at: number): bigint => v.getBigInt64(at, true),   set: (v: DataView, at: number, x: bigint) => v.setBigInt64(at, x, true) },
} as const;

export type Scalar = keyof typeof SCALARS;
type ValueOf<T extends Scalar> = ReturnType<(typeof SCALARS)[T]['get']>;
/** A field: a scalar, or bytes that are only placed, not decoded: `{ bytes, align }`. */
type FieldType = Scalar | { readonly bytes: number; readonly align: number };
type Fields = Readonly<Record<string, FieldType>>;
type Decoded<F extends Fields> = {
  -readonly [K in keyof F as F[K] extends Scalar ? K : never]: F[K] extends Scalar
    ? ValueOf<F[K]>
    : never;
};

export interface Struct<F extends Fields> {
  /** The name in Xen's public headers. */
  readonly name: string;
  /** Bytes, padding included. */
  readonly size: number;
  readonly offset: Readonly<Record<keyof F, number>>;
  /** All scalar fields of the struct at byte `at` of the view. */
  decode(view: DataView, at: number): Decoded<F>;
  /** Writes the given scalar fields and leaves the others. */
  encode(view: DataView, at: number, values: Partial<Decoded<F>>): void;
}

const shape = (type: FieldType) =>
  typeof type === 'string'
    ? { size: SCALARS[type].size, align: SCALARS[type].size }
    : { size: type.bytes, align: type.align };

/** @param fields in the order of the C declaration; padding follows from natural alignment. */
export function struct<const F extends Fields>(name: string, fields: F): Struct<F> {
  const offset: Record<string, number> = {};
  const scalars: { key: string; at: number; type: Scalar }[] = [];
  let end = 0;
  let alignment = 1;
  for (const [key, type] of Object.entries(fields)) {
    const { size, align } = shape(type);
    end = Math.ceil(end / align) * align;
    offset[key] = end;
    if (typeof type === 'string') scalars.push({ key, at: end, type });
    end += size;
    alignment = Math.max(alignment, align);
  }
  return {
    name,
    size: Math.ceil(end / alignment) * alignment,
    offset: offset as Record<keyof F, number>,
    decode(view, at) {
      const values: Record<string, number | bigint> = {};
      for (const field of scalars) values[field.key] = SCALARS[field.type].get(view, at + field.at);
      return values as Decoded<F>;
    },
    encode(view, at, values) {
      const given = values as Record<string, number | bigint | undefined>;
      for (const field of scalars) {
        const value = given[field.key];
        if (value !== undefined) SCALARS[field.type].set(view, at + field.at, value as never);
      }
    },
  };
}
