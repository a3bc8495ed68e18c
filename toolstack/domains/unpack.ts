/** Images as they come, turned into what a domain builder takes: gzip files, and bzImages with the kernel packed inside. */

import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import lzma from 'lzma-native';

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
  /** Absent where the format is known but cannot be unpacked here. */
  readonly unpack?: (packed: Buffer, limit: number) => Promise<Uint8Array>;
}

const GZIP: Format = {
  name: 'gzip',
  magic: [0x1f, 0x8b],
  unpack: (packed, limit) => unzip(packed, { maxOutputLength: limit }),
};

// biome-ignore format: one row per format
const PAYLOADS: readonly Format[] = [
  GZIP,
  { name: 'xz',    magic: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00], unpack: unpackXz },
  { name: 'none',  magic: [0x7f, 0x45, 0x4c, 0x46],             unpack: async (packed) => packed },
  { name: 'bzip2', magic: [0x42, 0x5a, 0x68] },
  { name: 'lzma',  magic: [0x5d, 0x00, 0x00] },
  { name: 'lzo',   magic: [0x89, 0x4c, 0x5a, 0x4f] },
  { name: 'lz4',   magic: [0x02, 0x21, 0x4c, 0x18] },
  { name: 'zstd',  magic: [0x28, 0xb5, 0x2f, 0xfd] },
];

export const isPacked = (bytes: Buffer): boolean => begins(bytes, GZIP.magic) || isBzImage(bytes);

/**
 * The image inside; the bytes themselves if they are not packed.
 * @param limit bytes that it may grow to.
 * @throws UnpackError
 */
export async function unpack(bytes: Buffer, limit: number): Promise<Uint8Array> {
  if (isBzImage(bytes)) return unpackBzImage(bytes, limit);
  return begins(bytes, GZIP.magic) ? unpackAs(GZIP, bytes, limit, 'a whole gzip file') : bytes;
}

const begins = (bytes: Buffer, magic: readonly number[]): boolean =>
  magic.every((byte, n) => bytes[n] === byte);

const isBzImage = (bytes: Buffer): boolean =>
  bytes.length >= SETUP.END && bytes.toString('latin1', SETUP.MAGIC, SETUP.MAGIC + 4) === MAGIC;

async function unpackBzImage(bytes: Buffer, limit: number): Promise<Uint8Array> {
  const payload = payloadOf(bytes);
  const format = PAYLOADS.find(({ magic }) => begins(payload, magic));
  if (format?.unpack === undefined) {
    const found = format?.name ?? `bytes ${payload.toString('hex', 0, 4)}`;
    throw new UnpackError(`has a payload packed with ${found}`, 'gzip, xz or an ELF');
  }
  const isPlain = format.name === 'none';
  const size = isPlain ? payload.length : payload.readUInt32LE(payload.length - SIZE_BYTES);
  if (size > limit) throw new UnpackError(`unpacks to more than ${limit} bytes`, 'less');
  // gzip keeps that size as its own last field.
  const stream = format.name === 'xz' ? payload.subarray(0, -SIZE_BYTES) : payload;
  const kernel = await unpackAs(format, stream, limit, `a whole ${format.name} payload`);
  if (kernel.length === size) return kernel;
  throw new UnpackError(`unpacks to ${kernel.length} bytes`, `${size}, as the payload says`);
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

async function unpackAs(
  { unpack: run }: Format,
  bytes: Buffer,
  limit: number,
  expected: string,
): Promise<Uint8Array> {
  try {
    return run ? await run(bytes, limit) : bytes;
  } catch (error) {
    if (error instanceof UnpackError) throw error;
    if (error instanceof RangeError)
      throw new UnpackError(`unpacks to more than ${limit} bytes`, 'less');
    const detail = error instanceof Error ? error.message : String(error);
    throw new UnpackError(`cannot be unpacked: ${detail}`, expected);
  }
}

/** XZ with whatever filters it names; Linux uses the x86 branch filter. */
function unpackXz(packed: Buffer, limit: number): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const stream = lzma.createDecompressor();
    const chunks: Buffer[] = [];
    let size = 0;
    stream.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      size += chunk.length;
      if (size <= limit) return;
      reject(new RangeError('too large'));
      stream.destroy();
    });
    stream.on('error', reject);
    stream.on('end', () => resolve(Buffer.concat(chunks)));
    stream.end(packed);
  });
}
