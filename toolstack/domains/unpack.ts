/** Images as they come, turned into what a domain builder takes: gzip files, and bzImages with the kernel packed inside. */

import type { Transform } from 'node:stream';
import { promisify } from 'node:util';
import { createGunzip, gunzip } from 'node:zlib';
import lzma from 'lzma-native';
import { LZ4_MAGIC } from './lz4.js';
import { sharedBytes } from './shared-bytes.js';
import { unpackInThread, type WorkerFormat } from './unpack-thread.js';

const unzip = promisify(gunzip);

/** What is wrong with a packed image, and what would have been right. */
export class UnpackError extends Error {
  override readonly name = 'UnpackError';
  readonly expected: string;

  constructor(detail: string, expected: string) {
    super(detail);
    this.expected = expected;
  }
}

/** Fields of the setup header that begins a bzImage, by offset. Spec: Linux boot protocol 2.08. */
const SETUP = {
  SECTORS: 0x1f1,
  MAGIC: 0x202,
  VERSION: 0x206,
  PAYLOAD_OFFSET: 0x248,
  PAYLOAD_LENGTH: 0x24c,
  END: 0x250,
} as const;
const MAGIC = 'HdrS';
const FIRST_VERSION_WITH_PAYLOAD = 0x208;
const SECTOR_BYTES = 512;
/** What 0 means in SECTORS. */
const DEFAULT_SECTORS = 4;
/** Behind the packed stream stands the size of what comes out, little-endian. */
const SIZE_BYTES = 4;

interface Format {
  readonly name: string;
  readonly magic: readonly number[];
  /** Fills `output`, and throws unless it does so to the last byte. Absent where the format cannot be unpacked here. */
  readonly unpack?: Unpack;
}

type Unpack = (packed: Buffer, output: Uint8Array) => Promise<void>;

const GZIP_MAGIC = [0x1f, 0x8b] as const;

const inThread =
  (format: WorkerFormat): Unpack =>
  (packed, output) =>
    unpackInThread({ format, packed, output });
const streaming =
  (decoder: () => Transform): Unpack =>
  (packed, output) =>
    fillFrom(decoder(), packed, output);

// biome-ignore format: one row per format
const PAYLOADS: readonly Format[] = [
  { name: 'gzip',  magic: GZIP_MAGIC,                           unpack: streaming(createGunzip) },
  { name: 'xz',    magic: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00], unpack: streaming(() => lzma.createDecompressor()) },
  { name: 'lzma',  magic: [0x5d, 0x00, 0x00],                   unpack: streaming(() => lzma.createDecompressor()) },
  { name: 'zstd',  magic: [0x28, 0xb5, 0x2f, 0xfd],             unpack: inThread('zstd') },
  { name: 'lz4',   magic: LZ4_MAGIC,                            unpack: inThread('lz4') },
  { name: 'bzip2', magic: [0x42, 0x5a, 0x68],                   unpack: inThread('bzip2') },
  { name: 'lzo',   magic: [0x89, 0x4c, 0x5a, 0x4f] },
];
const ELF_MAGIC = [0x7f, 0x45, 0x4c, 0x46] as const;
const POSSIBLE = PAYLOADS.flatMap(({ name, unpack }) => (unpack ? [name] : [])).join(', ');

export const isPacked = (bytes: Buffer): boolean => begins(bytes, GZIP_MAGIC) || isBzImage(bytes);

/**
 * The image inside, in shared memory; the bytes themselves if they are not packed.
 * @param limit bytes that it may grow to.
 * @throws UnpackError
 */
export async function unpack(bytes: Buffer, limit: number): Promise<Uint8Array> {
  if (isBzImage(bytes)) return unpackBzImage(bytes, limit);
  return begins(bytes, GZIP_MAGIC) ? unpackGzipFile(bytes, limit) : bytes;
}

const begins = (bytes: Buffer, magic: readonly number[]): boolean =>
  magic.every((byte, n) => bytes[n] === byte);

const isBzImage = (bytes: Buffer): boolean =>
  bytes.length >= SETUP.END && bytes.toString('latin1', SETUP.MAGIC, SETUP.MAGIC + 4) === MAGIC;

async function unpackBzImage(bytes: Buffer, limit: number): Promise<Uint8Array> {
  const payload = payloadOf(bytes);
  if (begins(payload, ELF_MAGIC)) return payload;
  const format = PAYLOADS.find(({ magic }) => begins(payload, magic));
  if (format?.unpack === undefined) {
    const found = format?.name ?? `bytes ${payload.toString('hex', 0, 4)}`;
    throw new UnpackError(`has a payload packed with ${found}`, `${POSSIBLE} or an ELF`);
  }
  const size = payload.readUInt32LE(payload.length - SIZE_BYTES);
  if (size > limit) throw new UnpackError(`unpacks to more than ${limit} bytes`, 'less');
  // gzip keeps that size as its own last field.
  const stream = format.name === 'gzip' ? payload : payload.subarray(0, -SIZE_BYTES);
  const output = sharedBytes(size);
  try {
    await format.unpack(stream, output);
  } catch (error) {
    throw new UnpackError(
      `has a ${format.name} payload that cannot be unpacked: ${messageOf(error)}`,
      `a whole ${format.name} stream of ${size} bytes, as the payload says`,
    );
  }
  return output;
}

function payloadOf(bytes: Buffer): Buffer {
  const version = bytes.readUInt16LE(SETUP.VERSION);
  if (version < FIRST_VERSION_WITH_PAYLOAD) {
    throw new UnpackError(
      `is a bzImage of boot protocol 0x${version.toString(16)}`,
      'setup header version 0x208 or later, which says where the payload is',
    );
  }
  const sectors = bytes.readUInt8(SETUP.SECTORS) || DEFAULT_SECTORS;
  const length = bytes.readUInt32LE(SETUP.PAYLOAD_LENGTH);
  const from = (sectors + 1) * SECTOR_BYTES + bytes.readUInt32LE(SETUP.PAYLOAD_OFFSET);
  if (from + length > bytes.length || length <= SIZE_BYTES) {
    throw new UnpackError(
      `is a bzImage whose payload_offset and payload_length (${from}, ${length} bytes) do not fit`,
      `a payload within its ${bytes.length} bytes`,
    );
  }
  return bytes.subarray(from, from + length);
}

async function unpackGzipFile(bytes: Buffer, limit: number): Promise<Uint8Array> {
  try {
    const image = await unzip(bytes, { maxOutputLength: limit });
    const shared = sharedBytes(image.length);
    shared.set(image);
    return shared;
  } catch (error) {
    if (error instanceof RangeError)
      throw new UnpackError(`unpacks to more than ${limit} bytes`, 'less');
    throw new UnpackError(`cannot be unpacked: ${messageOf(error)}`, 'a whole gzip file');
  }
}

/** Runs a stream; it stops as soon as it writes more than there is room for. */
function fillFrom(decoder: Transform, packed: Buffer, output: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    let at = 0;
    decoder.on('data', (chunk: Buffer) => {
      if (at + chunk.length > output.length) {
        reject(new RangeError('more comes out than it says'));
        decoder.destroy();
        return;
      }
      output.set(chunk, at);
      at += chunk.length;
    });
    decoder.on('error', reject);
    decoder.on('end', () => {
      if (at === output.length) resolve();
      else reject(new RangeError(`it unpacks to ${at} bytes`));
    });
    decoder.end(packed);
  });
}

const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);
