/**
 * The file of a saved domain, as xl writes it: a header with the configuration as JSON, then the stream of libxl.
 *
 *   magic (32 bytes) | byte order u32 | mandatory flags u32 | optional flags u32 | length of the rest u32 | configuration
 *
 * The JSON has the shape of libxl's as far as that names a domain; what it was created from here is under "xenolith".
 */

import type { FileHandle } from 'node:fs/promises';
import { type Sink, type Source, StreamError } from '../../dom0/migration/stream.js';
import { DomainCreate } from '../schemas/domain.js';

const MAGIC = 'Xen saved domain, xl format\n \0 \r';
const BYTE_ORDER = 0x0123_4567;
/** The configuration is JSON, and the stream is of version 2. */
const FLAGS = 3;
const HEADER = 48;
const LONGEST_CONFIG = 1024 * 1024;
const KIB_PER_MIB = 1024;

export function saveHeader(config: DomainCreate, uuid: string): Uint8Array {
  const maxVcpus = config.maxVcpus ?? config.vcpus;
  const json = {
    c_info: { type: 'pv', name: config.name, uuid },
    b_info: {
      max_vcpus: maxVcpus,
      max_memkb: (config.maxMemory ?? config.memory) * KIB_PER_MIB,
      target_memkb: config.memory * KIB_PER_MIB,
    },
    xenolith: { ...config, uuid },
  };
  const text = new TextEncoder().encode(`${JSON.stringify(json)}\0`);
  const bytes = new Uint8Array(HEADER + 4 + text.length);
  bytes.set(new TextEncoder().encode(MAGIC));
  const view = new DataView(bytes.buffer);
  for (const [n, value] of [BYTE_ORDER, FLAGS, 0, 4 + text.length, text.length].entries()) {
    view.setUint32(MAGIC.length + n * 4, value, true);
  }
  bytes.set(text, HEADER + 4);
  return bytes;
}

/** @throws StreamError if that is no file of a domain that was saved here. */
export async function readSaveHeader(source: Source): Promise<DomainCreate> {
  const head = await source.read(HEADER);
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  if (new TextDecoder('latin1').decode(head.subarray(0, MAGIC.length)) !== MAGIC) {
    throw new StreamError('the file does not begin as a saved domain does');
  }
  const [order, flags, length] = [32, 36, 44].map((at) => view.getUint32(at, true));
  if (order !== BYTE_ORDER || flags !== FLAGS || !length || length > LONGEST_CONFIG) {
    throw new StreamError('the file is not of the version that is written here');
  }
  const rest = await source.read(length);
  const text = new TextDecoder().decode(rest.subarray(4)).replace(/\0+$/, '');
  const config = DomainCreate.safeParse(configIn(text));
  if (!config.success) {
    throw new StreamError('the file does not say what its domain was created from here');
  }
  return config.data;
}

function configIn(text: string): unknown {
  try {
    return (JSON.parse(text) as { xenolith?: unknown } | null)?.xenolith;
  } catch {
    return undefined;
  }
}

export const sinkOf = (file: FileHandle): Sink => ({
  write: async (bytes) => {
    for (let at = 0; at < bytes.length; ) at += (await file.write(bytes, at)).bytesWritten;
  },
});

export const sourceOf = (file: FileHandle): Source => ({
  read: async (length) => {
    const bytes = new Uint8Array(length);
    for (let at = 0; at < length; ) {
      const { bytesRead } = await file.read(bytes, at, length - at);
      if (bytesRead === 0) throw new StreamError('the file is cut off');
      at += bytesRead;
    }
    return bytes;
  },
});
