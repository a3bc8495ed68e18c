/** The client: XenStore's messages as promises, over any channel. */
import { XS } from '../../hypervisor/public/io/xs-wire.js';
import type { Channel } from '../protocol/channel.js';
import { errnoNamed, XenStoreError } from '../protocol/errors.js';
import { decodeLatin1, latin1Bytes, latin1ToUtf8, utf8ToLatin1 } from '../protocol/latin1.js';
import { encodePacket, type Packet } from '../protocol/packet.js';
import { PacketParser } from '../protocol/parser.js';
import { formatPermission, type Permission, parsePermission } from '../protocol/permissions.js';

/** Text goes over the wire as UTF-8; bytes as they are. */
export type Value = string | Uint8Array;

/** Called for each event: the path that changed, and the watch's token. */
export type WatchCallback = (path: string, token: string) => void;

/** What can be done within a transaction as well as outside. */
export interface StoreAccess {
  /** @throws XenStoreError ENOENT, EACCES… */
  read(path: string): Promise<string>;
  readBytes(path: string): Promise<Uint8Array>;
  /** The value, or undefined if there is no such node. */
  tryRead(path: string): Promise<string | undefined>;
  /** Makes the node, and those above it, if missing. */
  write(path: string, value: Value): Promise<void>;
  mkdir(path: string): Promise<void>;
  /** With all below it. */
  rm(path: string): Promise<void>;
  /** Names of the children, in the order of their creation. */
  directory(path: string): Promise<string[]>;
  exists(path: string): Promise<boolean>;
  getPerms(path: string): Promise<Permission[]>;
  setPerms(path: string, permissions: readonly Permission[]): Promise<void>;
}

interface Waiting {
  readonly type: number;
  resolve(body: string): void;
  reject(error: Error): void;
}

interface ClientWatch {
  readonly path: string;
  readonly token: string;
  readonly callback: WatchCallback;
}

/** How often `transaction` tries again after a conflict. */
const ATTEMPTS = 1000;

export class XenstoreClient implements StoreAccess {
  readonly #channel: Channel;
  readonly #parser = new PacketParser();
  readonly #waiting = new Map<number, Waiting>();
  readonly #watches = new Map<string, ClientWatch>();
  #nextId = 1;
  #closedBecause: string | undefined;
  /** Called when the connection is lost. */
  onClose: ((reason: string) => void) | undefined;

  constructor(channel: Channel) {
    this.#channel = channel;
    channel.open({
      data: (bytes) => this.#receive(bytes),
      closed: (reason) => this.#closed(reason),
    });
  }

  /** Sends any message and resolves with the payload of its reply, one character per byte. */
  request(type: number, body: string, txId = 0): Promise<string> {
    if (this.#closedBecause !== undefined) {
      return Promise.reject(new XenStoreError('EIO', this.#closedBecause));
    }
    const reqId = this.#nextId;
    this.#nextId = (reqId % 0xffff_ffff) + 1;
    return new Promise((resolve, reject) => {
      this.#waiting.set(reqId, { type, resolve, reject });
      this.#channel.send(encodePacket({ type, reqId, txId, body }));
    });
  }

  read(path: string): Promise<string> {
    return this.#access(0).read(path);
  }

  readBytes(path: string): Promise<Uint8Array> {
    return this.#access(0).readBytes(path);
  }

  tryRead(path: string): Promise<string | undefined> {
    return this.#access(0).tryRead(path);
  }

  write(path: string, value: Value): Promise<void> {
    return this.#access(0).write(path, value);
  }

  mkdir(path: string): Promise<void> {
    return this.#access(0).mkdir(path);
  }

  rm(path: string): Promise<void> {
    return this.#access(0).rm(path);
  }

  directory(path: string): Promise<string[]> {
    return this.#access(0).directory(path);
  }

  exists(path: string): Promise<boolean> {
    return this.#access(0).exists(path);
  }

  getPerms(path: string): Promise<Permission[]> {
    return this.#access(0).getPerms(path);
  }

  setPerms(path: string, permissions: readonly Permission[]): Promise<void> {
    return this.#access(0).setPerms(path, permissions);
  }

  /** Calls back once at once, then at each change of the node or below it. */
  async watch(path: string, token: string, callback: WatchCallback): Promise<void> {
    const key = `${path}\0${token}`;
    if (this.#watches.has(key)) throw new XenStoreError('EEXIST', `watched already: ${path}`);
    this.#watches.set(key, { path, token, callback });
    try {
      await this.request(XS.WATCH, strings(path, token));
    } catch (error) {
      this.#watches.delete(key);
      throw error;
    }
  }

  async unwatch(path: string, token: string): Promise<void> {
    this.#watches.delete(`${path}\0${token}`);
    await this.request(XS.UNWATCH, strings(path, token));
  }

  /**
   * Runs `work` in a transaction and commits; after a conflict, runs it again. When `work` throws, the transaction
   * is dropped and the error passed on.
   */
  async transaction<Result>(work: (store: StoreAccess) => Promise<Result>): Promise<Result> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const txId = Number((await this.request(XS.TRANSACTION_START, '\0')).slice(0, -1));
      const result = await this.#run(txId, work);
      try {
        await this.request(XS.TRANSACTION_END, 'T\0', txId);
        return result;
      } catch (error) {
        if (!(error instanceof XenStoreError) || error.code !== 'EAGAIN') throw error;
      }
    }
    throw new XenStoreError('EAGAIN', `${ATTEMPTS} conflicts in a row`);
  }

  async introduce(domid: number, mfn: number, port: number): Promise<void> {
    await this.request(XS.INTRODUCE, strings(domid, mfn, port));
  }

  async release(domid: number): Promise<void> {
    await this.request(XS.RELEASE, strings(domid));
  }

  async resume(domid: number): Promise<void> {
    await this.request(XS.RESUME, strings(domid));
  }

  async setTarget(domid: number, target: number): Promise<void> {
    await this.request(XS.SET_TARGET, strings(domid, target));
  }

  async getDomainPath(domid: number): Promise<string> {
    return (await this.request(XS.GET_DOMAIN_PATH, strings(domid))).slice(0, -1);
  }

  async isDomainIntroduced(domid: number): Promise<boolean> {
    return (await this.request(XS.IS_DOMAIN_INTRODUCED, strings(domid))) === 'T\0';
  }

  async resetWatches(): Promise<void> {
    this.#watches.clear();
    await this.request(XS.RESET_WATCHES, '\0');
  }

  /** A command to the daemon, and its text. */
  async control(...args: readonly string[]): Promise<string> {
    return (await this.request(XS.CONTROL, strings(...args))).replace(/\0$/, '');
  }

  close(): void {
    this.#channel.close();
    this.#closed('closed by the client');
  }

  async #run<Result>(txId: number, work: (store: StoreAccess) => Promise<Result>): Promise<Result> {
    try {
      return await work(this.#access(txId));
    } catch (error) {
      await this.request(XS.TRANSACTION_END, 'F\0', txId).catch(() => undefined);
      throw error;
    }
  }

  #access(txId: number): StoreAccess {
    return accessThrough((type, body) => this.request(type, body, txId));
  }

  #receive(bytes: Uint8Array): void {
    this.#parser.push(bytes);
    let found = this.#parser.next();
    while (found === 'packet') {
      this.#take(this.#parser.packet);
      found = this.#parser.next();
    }
    if (found === 'too-long') this.close();
  }

  #take(packet: Packet): void {
    if (packet.type === XS.WATCH_EVENT) {
      this.#event(packet.body);
      return;
    }
    const waiting = this.#waiting.get(packet.reqId);
    if (waiting === undefined) return;
    this.#waiting.delete(packet.reqId);
    if (packet.type === waiting.type) {
      waiting.resolve(packet.body);
    } else {
      const code = errnoNamed(packet.type === XS.ERROR ? packet.body.replace(/\0$/, '') : 'EIO');
      waiting.reject(new XenStoreError(code));
    }
  }

  #event(body: string): void {
    const [path = '', token = ''] = body.split('\0');
    for (const watch of [...this.#watches.values()]) {
      if (watch.token === token && isWithin(path, watch.path)) watch.callback(path, token);
    }
  }

  #closed(reason: string): void {
    if (this.#closedBecause !== undefined) return;
    this.#closedBecause = reason;
    for (const { reject } of this.#waiting.values()) reject(new XenStoreError('EIO', reason));
    this.#waiting.clear();
    this.onClose?.(reason);
  }
}

type Send = (type: number, body: string) => Promise<string>;

function accessThrough(send: Send): StoreAccess {
  const raw = (path: string): Promise<string> => send(XS.READ, strings(path));
  const getPerms = async (path: string): Promise<Permission[]> =>
    split(await send(XS.GET_PERMS, strings(path))).map(requirePermission);
  return {
    getPerms,
    read: async (path) => latin1ToUtf8(await raw(path)),
    readBytes: async (path) => latin1Bytes(await raw(path)),
    tryRead: (path) => raw(path).then(latin1ToUtf8, absentAs(undefined)),
    write: (path, value) => send(XS.WRITE, `${strings(path)}${toLatin1(value)}`).then(noResult),
    mkdir: (path) => send(XS.MKDIR, strings(path)).then(noResult),
    rm: (path) => send(XS.RM, strings(path)).then(noResult),
    directory: (path) => directory(send, path),
    exists: (path) => getPerms(path).then(() => true, absentAs(false)),
    setPerms: (path, permissions) =>
      send(XS.SET_PERMS, strings(path, ...permissions.map(formatPermission))).then(noResult),
  };
}

const noResult = (): void => undefined;

/** Turns ENOENT into a value, and passes other errors on. */
const absentAs =
  <Result>(value: Result) =>
  (error: unknown): Result => {
    if (error instanceof XenStoreError && error.code === 'ENOENT') return value;
    throw error;
  };

async function directory(send: Send, path: string): Promise<string[]> {
  try {
    return split(await send(XS.DIRECTORY, strings(path)));
  } catch (error) {
    if (!(error instanceof XenStoreError) || error.code !== 'E2BIG') throw error;
    return directoryInParts(send, path);
  }
}

/** DIRECTORY_PART until the empty name; from the start again if the list changed meanwhile. */
async function directoryInParts(send: Send, path: string): Promise<string[]> {
  let generation = '';
  let names = '';
  for (;;) {
    const body = await send(XS.DIRECTORY_PART, strings(path, names.length));
    const end = body.indexOf('\0');
    const now = body.slice(0, end);
    if (generation !== '' && now !== generation) names = '';
    else names += body.slice(end + 1);
    // An empty name behind the last one: the list is complete.
    const changed = generation !== '' && now !== generation;
    generation = changed ? '' : now;
    if (!changed && (names === '\0' || names.endsWith('\0\0'))) return split(names.slice(0, -1));
  }
}

const strings = (...parts: readonly (string | number)[]): string =>
  parts.map((part) => `${utf8ToLatin1(String(part))}\0`).join('');

function split(body: string): string[] {
  const parts = body.split('\0');
  parts.pop();
  return parts;
}

const toLatin1 = (value: Value): string =>
  typeof value === 'string' ? utf8ToLatin1(value) : decodeLatin1(value, 0, value.length);

function requirePermission(text: string): Permission {
  const permission = parsePermission(text);
  if (permission === undefined) throw new XenStoreError('EIO', `bad permission: ${text}`);
  return permission;
}

/** Whether an event's path is the watched one or below it. */
function isWithin(path: string, watched: string): boolean {
  if (watched === '/' || path === watched) return true;
  return path.startsWith(`${watched}/`) || watched.startsWith('@');
}
