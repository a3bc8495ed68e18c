/** Worlds in which the same rows are played: our server over sockets, over rings, and Debian's C xenstored. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type RingChannel, ringChannel } from '../../xenstore/client/ring-channel.js';
import { XenstoreServer } from '../../xenstore/server/server.js';
import type { ServerOptions } from '../../xenstore/server/types.js';
import { RingTransport } from '../../xenstore/transport/ring.js';
import { listenOnSocket } from '../../xenstore/transport/unix-socket.js';
import { fileRingChannel, socketWire, Wire } from './wire.js';

export interface World {
  readonly name: 'ours' | 'ours over rings' | 'C xenstored';
  /** The server, if it is ours. */
  readonly server?: XenstoreServer;
  /** A privileged connection. */
  privileged(): Promise<Wire>;
  /** Makes the domain exist; it is not introduced yet. */
  createDomain(domid: number): void;
  /** The ring of a domain that has been introduced. */
  guest(domid: number): Promise<Wire>;
  /** The domain shuts down ('s') or goes away ('gone'). */
  domainEvent(domid: number, state: 's' | 'gone'): void;
  close(): Promise<void>;
}

/** A directory for a test; a short name, because a socket's path has 107 bytes. Whoever made it removes it. */
export const scratchDirectory = (): string => mkdtempSync(join(tmpdir(), 'xs-'));

/** @param transport what privileged connections go through; guests always have rings */
export async function ourWorld(
  transport: 'socket' | 'ring',
  options: ServerOptions = {},
): Promise<World> {
  const directory = scratchDirectory();
  const domains = new Set([0]);
  const rings = new Map<number, Ring>();
  const server: XenstoreServer = new XenstoreServer({
    ...options,
    hooks: {
      domainExists: (domid) => domains.has(domid),
      introduce(domid) {
        const known = rings.get(domid);
        if (known === undefined) rings.set(domid, makeRing(server, domid));
        else known.transport.restart();
      },
      release: (domid) => void rings.delete(domid),
    },
  });
  const socket = await listenOnSocket(server, join(directory, 's'));
  const extra: Ring[] = [];
  return {
    name: transport === 'ring' ? 'ours over rings' : 'ours',
    server,
    async privileged() {
      if (transport === 'socket') return socketWire(socket.path);
      const ring = makeRing(server, 0);
      extra.push(ring);
      return new Wire(ring.channel);
    },
    createDomain: (domid) => void domains.add(domid),
    async guest(domid) {
      const ring = rings.get(domid);
      if (ring === undefined) throw new Error(`domain ${domid} is not introduced`);
      return new Wire(ring.channel);
    },
    domainEvent(domid, state) {
      if (state === 's') server.domainShutdown(domid);
      else {
        domains.delete(domid);
        server.domainDied(domid);
      }
    },
    async close() {
      await socket.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

export interface Ring {
  readonly page: Uint8Array;
  readonly transport: RingTransport;
  readonly channel: RingChannel;
}

/** A page of shared memory with the server at one end and a channel at the other. */
export function makeRing(server: XenstoreServer, domid: number): Ring {
  const page = new Uint8Array(new SharedArrayBuffer(4096));
  const toGuest = coalesced(() => channel.kick());
  const toServer = coalesced(() => transport.kick());
  const transport = new RingTransport(server, {
    domid,
    page,
    notify: toGuest,
    defer: (run) => void setImmediate(run),
  });
  const channel = ringChannel(page, toServer);
  return { page, transport, channel };
}

/** Like an event channel: any number of notifications before it is looked at are one. */
function coalesced(run: () => void): () => void {
  let pending = false;
  return () => {
    if (pending) return;
    pending = true;
    setImmediate(() => {
      pending = false;
      run();
    });
  };
}

const XENSTORED = '/usr/lib/xen-4.17/bin/xenstored';
/** Ports of stub.c. */
const PORT = { VIRQ: 1, OF_DOMAIN: 1000 } as const;

/** Why C xenstored cannot run here; undefined: it can. */
export function cXenstoredMissing(): string | undefined {
  if (process.platform !== 'linux' || !existsSync(XENSTORED)) return `no ${XENSTORED}`;
  if (!existsSync('/usr/include/xenctrl.h')) return 'no libxen-dev';
  if (!existsSync('/usr/bin/gcc')) return 'no gcc';
  return undefined;
}

/** Compiles the stub libraries; returns their path. */
export function buildStub(directory: string): string {
  const library = join(directory, 'stub.so');
  const source = join(import.meta.dirname, 'oracle/stub.c');
  const flags = ['-O2', '-Wall', '-Werror', '-shared', '-fPIC', '-o', library, source, '-ldl'];
  execFileSync('/usr/bin/gcc', flags);
  return library;
}

export interface CDaemon {
  readonly process: ChildProcess;
  readonly directory: string;
  readonly socket: string;
  close(): Promise<void>;
}

/** Starts C xenstored with a machine made of files. */
export async function startCXenstored(library: string): Promise<CDaemon> {
  const directory = scratchDirectory();
  const socket = join(directory, 's');
  execFileSync('/usr/bin/mkfifo', [join(directory, 'kick')]);
  writeFileSync(join(directory, 'ring-0'), new Uint8Array(4096));
  writeFileSync(join(directory, 'xsd_port'), '5');
  writeFileSync(join(directory, 'domain-0'), 'r');
  const child = spawn(XENSTORED, ['-N', '--pid-file', join(directory, 'pid')], {
    env: {
      XS_ORACLE: directory,
      XENSTORED_PATH: socket,
      XENSTORED_RUNDIR: directory,
      XENSTORED_ROOTDIR: directory,
      LD_PRELOAD: library,
    },
    stdio: 'ignore',
  });
  (await patientWire(socket)).close();
  return {
    process: child,
    directory,
    socket,
    async close() {
      const gone = new Promise((resolve) => child.once('exit', resolve));
      if (child.exitCode === null && child.signalCode === null) {
        child.kill('SIGKILL');
        await gone;
      }
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** C xenstored lets one connection wait, and has its socket before it listens: try again for a while. */
async function patientWire(path: string): Promise<Wire> {
  for (let tries = 0; ; tries++) {
    try {
      return await socketWire(path);
    } catch (error) {
      if (tries === 500) throw error;
      await sleep(10);
    }
  }
}

export async function cWorld(library: string): Promise<World> {
  const daemon = await startCXenstored(library);
  const { directory } = daemon;
  const fifo = openSync(join(directory, 'kick'), 'r+');
  const kick = (port: number): void => {
    writeSync(fifo, new Uint8Array(new Uint32Array([port]).buffer));
  };
  const wires: Wire[] = [];
  const keep = (wire: Wire): Wire => {
    wires.push(wire);
    return wire;
  };
  return {
    name: 'C xenstored',
    privileged: async () => keep(await patientWire(daemon.socket)),
    createDomain(domid) {
      writeFileSync(join(directory, `domain-${domid}`), 'r');
      writeFileSync(join(directory, `ring-${domid}`), new Uint8Array(4096));
    },
    guest: async (domid) =>
      keep(
        new Wire(
          fileRingChannel(join(directory, `ring-${domid}`), () => kick(PORT.OF_DOMAIN + domid)),
        ),
      ),
    domainEvent(domid, state) {
      if (state === 'gone') rmSync(join(directory, `domain-${domid}`));
      else writeFileSync(join(directory, `domain-${domid}`), state);
      kick(PORT.VIRQ);
    },
    async close() {
      for (const wire of wires) wire.close();
      await daemon.close();
    },
  };
}
