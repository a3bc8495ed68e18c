/** Writes a cpio archive in the "newc" form, which Linux takes as an initramfs (its Documentation: initramfs buffer format). */

const MAGIC = '070701';
const TRAILER = 'TRAILER!!!';
const HEX_DIGITS = 8;
const ALIGNMENT = 4;

/** S_IFMT values of `mode`. */
export const CPIO = { DIRECTORY: 0o040000, FILE: 0o100000, LINK: 0o120000, CHAR_DEVICE: 0o020000 };

export interface CpioEntry {
  /** Path without a leading slash; parents come before their children. */
  readonly name: string;
  /** File type and permissions. */
  readonly mode: number;
  /** A file's bytes, or where a link leads. */
  readonly data?: Uint8Array | string;
  /** Major and minor number of a device. */
  readonly device?: readonly [major: number, minor: number];
}

/** The whole archive with its trailer. */
export function cpio(entries: readonly CpioEntry[]): Uint8Array {
  const trailer: CpioEntry = { name: TRAILER, mode: 0 };
  const records = [...entries, trailer].map((entry, n) => record(entry, n + 1));
  return Buffer.concat(records);
}

function record({ name, mode, data = '', device = [0, 0] }: CpioEntry, inode: number): Buffer {
  const content = Buffer.from(typeof data === 'string' ? Buffer.from(data) : data);
  const path = Buffer.from(`${name}\0`);
  const fields = [inode, mode, 0, 0, 1, 0, content.length, 0, 0, ...device, path.length, 0];
  const head = MAGIC + fields.map((n) => n.toString(16).padStart(HEX_DIGITS, '0')).join('');
  return Buffer.concat([padded(Buffer.concat([Buffer.from(head), path])), padded(content)]);
}

const padded = (bytes: Buffer): Buffer =>
  Buffer.concat([bytes, Buffer.alloc(-bytes.length & (ALIGNMENT - 1))]);
