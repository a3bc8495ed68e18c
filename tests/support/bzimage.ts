/** Makes bzImages: a setup header and a payload, as Linux's build lays them out. Spec: Linux boot protocol 2.08. */

const SECTOR = 512;
/** Bytes of the unpacker, which nobody runs. */
const STUB = 8;

/** One setup sector, then a few bytes of unpacker, then the payload, then "more". */
export function bzImage(payload: Uint8Array, version = 0x20f): Buffer {
  const head = Buffer.alloc(2 * SECTOR + STUB);
  head.writeUInt8(1, 0x1f1);
  head.write('HdrS', 0x202);
  head.writeUInt16LE(version, 0x206);
  head.writeUInt32LE(STUB, 0x248);
  head.writeUInt32LE(payload.length, 0x24c);
  return Buffer.concat([head, payload, Buffer.from('more')]);
}

/** The stream and the size behind it, as Linux's build writes them for all formats but gzip. */
export function withSize(stream: Uint8Array, size: number): Buffer {
  const tail = Buffer.alloc(4);
  tail.writeUInt32LE(size);
  return Buffer.concat([stream, tail]);
}
