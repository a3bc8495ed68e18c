/** The command line of the service, and what it is without one. */

import { isIP } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

const ROOT = join(import.meta.dirname, '..');
const MIB = 1024 * 1024;

/** Bytes of a path that fit a unix socket's address. */
const SOCKET_PATH_MAX = 107;

/** In the folder of the installation, unless that lies so deep that no socket can have its path. */
function defaultSocket(): string {
  const here = join(ROOT, 'var', 'xenstored.sock');
  return Buffer.byteLength(here) <= SOCKET_PATH_MAX
    ? here
    : join(tmpdir(), 'xenolith-xenstored.sock');
}

export interface ServiceOptions {
  /** IP address on which the API listens. On any but loopback each request needs a token. */
  readonly listen: string;
  /** Names of this host that requests may be for, besides its addresses. */
  readonly hostNames: readonly string[];
  /** Port of the API. 0 lets the system choose. */
  readonly port: number;
  /** Guest memory of the host in MiB. */
  readonly memory: number;
  /** Where what outlives the service is kept; undefined for nowhere. */
  readonly state: string | undefined;
  readonly images: string;
  readonly uploads: string;
  /** Where unpacked kernels are kept, and how many bytes of them. */
  readonly cache: string;
  readonly cacheLimit: number;
  /** Directories in which disks may lie; new ones go to the first. */
  readonly disks: readonly [string, ...string[]];
  /** Bytes of an uploaded disk. */
  readonly diskLimit: number;
  /** Where cores of domains go, and saved domains. */
  readonly cores: string;
  readonly saves: string;
  /** Where recordings of the trace go. */
  readonly recordings: string;
  /** Unix socket of the XenStore; undefined for none. */
  readonly storeSocket: string | undefined;
  /** Kernel of the guest that is there from the start; undefined for none. */
  readonly demo: string | undefined;
  /** Requests a second from one address; 0 for any number. */
  readonly rateLimit: number;
  /** Bytes of a JSON body. */
  readonly bodyLimit: number;
  /** Bytes of an uploaded image, and of an image once unpacked. */
  readonly uploadLimit: number;
  readonly unpackedLimit: number;
  /** Milliseconds that a client may take for the headers of a request, and between two parts of its body. */
  readonly patience: { readonly headers: number; readonly body: number };
}

export const DEFAULTS: ServiceOptions = {
  listen: '127.0.0.1',
  hostNames: [],
  port: 8732,
  memory: 2048,
  state: join(ROOT, 'var', 'state'),
  images: join(ROOT, 'guests', 'images'),
  uploads: join(ROOT, 'var', 'images'),
  cache: join(ROOT, 'var', 'cache'),
  cacheLimit: 512 * MIB,
  disks: [join(ROOT, 'var', 'disks')],
  diskLimit: 64 * 1024 * MIB,
  cores: join(ROOT, 'var', 'cores'),
  saves: join(ROOT, 'var', 'saves'),
  recordings: join(ROOT, 'var', 'recordings'),
  storeSocket: defaultSocket(),
  demo: 'hello',
  rateLimit: 5000,
  bodyLimit: MIB,
  uploadLimit: 128 * MIB,
  unpackedLimit: 512 * MIB,
  patience: { headers: 20_000, body: 60_000 },
};

export const USAGE = `npm start -- [options]
  --listen <address>    IP address of the API (${DEFAULTS.listen}); on any but loopback each request needs a token
  --host-name <name>    name under which it may be asked for; can be given several times
  --port <n>            port of the API (${DEFAULTS.port}; PORT in the environment)
  --memory <MiB>        guest memory of the host (${DEFAULTS.memory})
  --state <dir>         where what outlives the service is kept, "none" for nowhere (var/state)
  --images <dir>        image directory (guests/images)
  --uploads <dir>       where uploaded images go (var/images)
  --cache <dir>         where unpacked kernels are kept (var/cache)
  --disks <dir>         directory in which disks of guests may lie; can be given several times (var/disks)
  --disk-limit <MiB>    size of an uploaded disk (${DEFAULTS.diskLimit / MIB})
  --cores <dir>         where cores of domains go (var/cores)
  --rate-limit <n>      requests a second from one address, 0 for any number (${DEFAULTS.rateLimit})
  --saves <dir>         where saved domains go (var/saves)
  --recordings <dir>    where recordings of the trace go (var/recordings)
  --store-socket <path> unix socket of the XenStore, "none" for none (var/xenstored.sock)
  --demo <image>        guest started at once, "none" for none (${DEFAULTS.demo})
`;

const OPTIONS = {
  listen: { type: 'string' },
  'host-name': { type: 'string', multiple: true },
  port: { type: 'string' },
  memory: { type: 'string' },
  state: { type: 'string' },
  images: { type: 'string' },
  uploads: { type: 'string' },
  cache: { type: 'string' },
  disks: { type: 'string', multiple: true },
  'disk-limit': { type: 'string' },
  cores: { type: 'string' },
  'rate-limit': { type: 'string' },
  saves: { type: 'string' },
  recordings: { type: 'string' },
  'store-socket': { type: 'string' },
  demo: { type: 'string' },
  help: { type: 'boolean' },
} as const;

/** @returns undefined if help was asked for. Throws if an option is unknown or makes no sense. */
export function parseOptions(args: string[], env: NodeJS.ProcessEnv): ServiceOptions | undefined {
  const { values } = parseArgs({ args, options: OPTIONS });
  if (values.help) return undefined;
  return {
    ...DEFAULTS,
    listen: ipAddress('listen', values.listen ?? DEFAULTS.listen),
    hostNames: values['host-name'] ?? DEFAULTS.hostNames,
    port: wholeNumber('port', values.port ?? env['PORT'], DEFAULTS.port, 0, 65535),
    memory: wholeNumber('memory', values.memory, DEFAULTS.memory, 1, 3968),
    state: unlessNone(values.state ?? DEFAULTS.state),
    images: values.images ?? DEFAULTS.images,
    uploads: values.uploads ?? DEFAULTS.uploads,
    cache: values.cache ?? DEFAULTS.cache,
    disks: isFilled(values.disks) ? values.disks : DEFAULTS.disks,
    diskLimit:
      wholeNumber('disk-limit', values['disk-limit'], DEFAULTS.diskLimit / MIB, 1, 2 ** 24) * MIB,
    cores: values.cores ?? DEFAULTS.cores,
    rateLimit: wholeNumber('rate-limit', values['rate-limit'], DEFAULTS.rateLimit, 0, 1e6),
    saves: values.saves ?? DEFAULTS.saves,
    recordings: values.recordings ?? DEFAULTS.recordings,
    storeSocket: unlessNone(values['store-socket'] ?? DEFAULTS.storeSocket),
    demo: unlessNone(values.demo ?? DEFAULTS.demo),
  };
}

const isFilled = (list: string[] | undefined): list is [string, ...string[]] =>
  list !== undefined && list.length > 0;

function ipAddress(name: string, text: string): string {
  if (text === 'localhost') return DEFAULTS.listen;
  if (isIP(text) !== 0) return text;
  throw new Error(`--${name} must be an IP address, not "${text}"`);
}

const unlessNone = (value: string | undefined): string | undefined =>
  value === 'none' ? undefined : value;

function wholeNumber(
  name: string,
  text: string | undefined,
  fallback: number,
  min: number,
  max: number,
): number {
  if (text === undefined) return fallback;
  const value = Number(text);
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  throw new Error(`--${name} must be a whole number from ${min} to ${max}, not "${text}"`);
}
