/** What an image is, told by how it begins. */

import { constants, gunzipSync } from 'node:zlib';
import type { Image } from '../schemas/image.js';

type Kind = Image['kind'];

/** Bytes of an image that are looked at, and of a gzip file those that are unpacked. */
export const HEAD_BYTES = 36 * 1024;
const PACKED_BYTES = 4096;

interface Signature {
  readonly kind: Kind;
  readonly what: string;
  readonly at: number;
  /** As latin1. */
  readonly magic: string;
}

/** The first that fits tells: a bzImage begins like a disk with partitions. Only gzip may hold a kernel; the rest is packed RAM disks. */
// biome-ignore format: one row per signature
const SIGNATURES: readonly Signature[] = [
  { kind: 'kernel',  what: 'ELF',             at: 0,      magic: '\x7fELF' },
  { kind: 'kernel',  what: 'bzImage',         at: 0x202,  magic: 'HdrS' },
  { kind: 'ramdisk', what: 'cpio',            at: 0,      magic: '070701' },
  { kind: 'ramdisk', what: 'cpio with sums',  at: 0,      magic: '070702' },
  { kind: 'ramdisk', what: 'xz',              at: 0,      magic: '\xfd7zXZ\0' },
  { kind: 'ramdisk', what: 'lzma',            at: 0,      magic: '\x5d\0\0' },
  { kind: 'ramdisk', what: 'zstd',            at: 0,      magic: '\x28\xb5\x2f\xfd' },
  { kind: 'ramdisk', what: 'lz4',             at: 0,      magic: '\x02\x21\x4c\x18' },
  { kind: 'ramdisk', what: 'bzip2',           at: 0,      magic: 'BZh' },
  { kind: 'ramdisk', what: 'lzo',             at: 0,      magic: '\x89LZO' },
  { kind: 'disk',    what: 'ext2, 3, 4',      at: 0x438,  magic: '\x53\xef' },
  { kind: 'disk',    what: 'squashfs',        at: 0,      magic: 'hsqs' },
  { kind: 'disk',    what: 'XFS',             at: 0,      magic: 'XFSB' },
  { kind: 'disk',    what: 'qcow2',           at: 0,      magic: 'QFI\xfb' },
  { kind: 'disk',    what: 'GPT',             at: 512,    magic: 'EFI PART' },
  { kind: 'disk',    what: 'MBR, FAT',        at: 510,    magic: '\x55\xaa' },
  { kind: 'disk',    what: 'ISO 9660',        at: 0x8001, magic: 'CD001' },
];
const GZIP_MAGIC = '\x1f\x8b';

/** @param head its first HEAD_BYTES, or all of it. */
export function kindOf(head: Uint8Array): Kind {
  const bytes = Buffer.from(head.buffer, head.byteOffset, head.byteLength);
  if (!begins(bytes, GZIP_MAGIC)) return signed(bytes);
  const inside = signed(unpacked(bytes.subarray(0, PACKED_BYTES)));
  return inside === 'kernel' || inside === 'ramdisk' ? inside : 'other';
}

const begins = (bytes: Buffer, magic: string, at = 0): boolean =>
  bytes.toString('latin1', at, at + magic.length) === magic;

const signed = (bytes: Buffer): Kind =>
  SIGNATURES.find(({ magic, at }) => begins(bytes, magic, at))?.kind ?? 'other';

/** As much as comes out of the beginning of a gzip file. */
function unpacked(packed: Buffer): Buffer {
  try {
    return gunzipSync(packed, { finishFlush: constants.Z_SYNC_FLUSH });
  } catch {
    return Buffer.alloc(0);
  }
}
