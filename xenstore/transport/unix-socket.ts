/** The unix socket that Xen's own tools speak. Every client of it is domain 0; the mode of the file is the guard. */
import { chmodSync, mkdirSync, statSync, unlinkSync } from 'node:fs';
import { connect, createServer, type Server, Socket } from 'node:net';
import { dirname } from 'node:path';
import type { XenstoreServer } from '../server/server.js';

export interface SocketTransport {
  readonly path: string;
  /** Stops listening and ends all connections. */
  close(): Promise<void>;
}

/** sockaddr_un holds 108 bytes with the NUL. */
const MAX_PATH = 107;
/** Where all sockets read, one after the other: what was read is parsed before the next one is. */
const INPUT = new Uint8Array(16 * 1024);

/**
 * Listens on `path`, mode 0600. A socket nobody listens on any more is replaced.
 * @throws if another daemon listens there, or the path is too long for a socket
 */
export async function listenOnSocket(
  server: XenstoreServer,
  path: string,
): Promise<SocketTransport> {
  if (Buffer.byteLength(path) > MAX_PATH)
    throw new Error(`socket path over ${MAX_PATH} bytes: ${path}`);
  mkdirSync(dirname(path), { recursive: true });
  await removeStale(path);
  const sockets = new Set<Socket>();
  const listener = createServer({ pauseOnConnect: true }, (accepted) => {
    const socket = serve(server, accepted);
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  await listen(listener, path);
  return {
    path,
    close: () =>
      new Promise((resolve) => {
        listener.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

function serve(server: XenstoreServer, accepted: Socket): Socket {
  const socket = adopt(accepted, (count) => connection.receive(INPUT.subarray(0, count)));
  const connection = server.connect({
    domid: 0,
    transport: 'socket',
    send(bytes) {
      socket.write(bytes);
      // Node tries to write at once: nothing waiting means that the kernel has it all.
      if (socket.writableLength === 0) return true;
      socket.pause();
      return false;
    },
    close: () => socket.destroy(),
  });
  socket.on('drain', () => {
    connection.drained();
    continueReading(socket);
  });
  socket.on('error', () => undefined);
  socket.on('close', () => connection.close('closed by the client'));
  return socket;
}

/** Unless it is behind with what it was told: then it is not listened to. */
function continueReading(socket: Socket): void {
  if (!socket.destroyed && socket.writableLength === 0) socket.resume();
}

/**
 * A socket that reads into INPUT and nowhere else. Node offers that (`onread`) only for sockets one makes oneself,
 * so the accepted one hands its handle over. It saves an allocation and a stream's bookkeeping for each
 * request: 1.7 us of 8.6. A Node without that handle gets the ordinary way.
 */
function adopt(accepted: Socket, take: (count: number) => void): Socket {
  const owner = accepted as unknown as { _handle: unknown };
  const handle = owner._handle;
  if (handle === null || handle === undefined) {
    accepted.on('data', (bytes) => {
      for (let at = 0; at < bytes.length; at += INPUT.length) {
        const part = bytes.subarray(at, at + INPUT.length);
        INPUT.set(part);
        take(part.length);
      }
    });
    accepted.resume();
    return accepted;
  }
  owner._handle = null;
  const onread = {
    buffer: INPUT,
    callback: (count: number): boolean => {
      take(count);
      if (count < INPUT.length) return true;
      // There is more: without this pause libuv would read it 32 times before the next client has a turn.
      setImmediate(() => continueReading(socket));
      return false;
    },
  };
  const socket = new Socket({ handle, onread } as ConstructorParameters<typeof Socket>[0]);
  // The server counts the accepted one as open until it is destroyed.
  socket.on('close', () => accepted.destroy());
  socket.resume();
  return socket;
}

/** The file never exists with a wider mode: the umask is set around bind, which Node does before it returns. */
async function listen(listener: Server, path: string): Promise<void> {
  const mask = process.umask(0o177);
  try {
    await new Promise<void>((resolve, reject) => {
      listener.once('error', reject);
      listener.listen(path, resolve);
      process.umask(mask);
    });
  } finally {
    process.umask(mask);
  }
  chmodSync(path, 0o600);
}

async function removeStale(path: string): Promise<void> {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return;
  if (!stat.isSocket()) throw new Error(`in the way, and no socket: ${path}`);
  if (await answers(path)) throw new Error(`another daemon listens on ${path}`);
  unlinkSync(path);
}

const answers = (path: string): Promise<boolean> =>
  new Promise((resolve) => {
    const probe = connect({ path });
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', () => resolve(false));
  });
