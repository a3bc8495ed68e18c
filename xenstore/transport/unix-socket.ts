/** The unix socket that Xen's own tools speak. Every client of it is domain 0; the mode of the file is the guard. */
import { chmodSync, mkdirSync, statSync, unlinkSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import type { XenstoreServer } from '../server/server.js';

export interface SocketTransport {
  readonly path: string;
  /** Stops listening and ends all connections. */
  close(): Promise<void>;
}

/** sockaddr_un holds 108 bytes with the NUL. */
const MAX_PATH = 107;

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
  const listener = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    serve(server, socket);
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

function serve(server: XenstoreServer, socket: Socket): void {
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
  socket.on('data', (bytes) => connection.receive(bytes));
  socket.on('drain', () => resume(socket, () => connection.drained()));
  socket.on('error', () => undefined);
  socket.on('close', () => connection.close('closed by the client'));
}

function resume(socket: Socket, drained: () => void): void {
  drained();
  if (socket.writableLength === 0) socket.resume();
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
