/** XenStore for operators: nodes, snapshots, watches, and a look at the server itself. */

import type { XenstoreClient } from '../../xenstore/client/client.js';
import type { XenstoreServer } from '../../xenstore/server/server.js';
import type { StoreNode, StoreWrite } from '../schemas/xenstore.js';
import { CommandError } from './errors.js';

type Inspection = ReturnType<XenstoreServer['inspect']>;
type StoreRequest = Inspection['requests'][number];
type Permissions = Parameters<XenstoreClient['setPerms']>[1];

export class StoreTree {
  readonly #server: XenstoreServer;
  readonly #client: XenstoreClient;
  readonly #listeners = new Set<(request: StoreRequest) => void>();
  #tokens = 0;

  constructor(server: XenstoreServer, client: XenstoreClient) {
    this.#server = server;
    this.#client = client;
  }

  /** @param depth levels below the node; all if absent. */
  read(path: string, depth?: number): StoreNode {
    const node = this.#server.snapshot(path, depth);
    if (node === undefined) throw new CommandError('no-such-node', `There is no node ${path}.`);
    return node as StoreNode;
  }

  async write(path: string, { value, permissions }: StoreWrite): Promise<StoreNode> {
    try {
      if (value !== undefined) await this.#client.write(path, value);
      else await this.#client.mkdir(path);
      if (permissions !== undefined) {
        await this.#client.setPerms(path, permissions.map(decodePermission));
      }
    } catch (error) {
      throw asStoreError(error, path);
    }
    return this.read(path, 0);
  }

  /** With all below it. */
  async remove(path: string): Promise<void> {
    this.read(path, 0);
    await this.#client.rm(path).catch((error: unknown) => {
      throw asStoreError(error, path);
    });
  }

  /** Calls back once at once, then with each path that changes at or below `path`. @returns how to stop. */
  watch(path: string, callback: (changed: string) => void): () => void {
    this.#tokens += 1;
    const token = `api-${this.#tokens}`;
    const started = this.#client.watch(path, token, callback);
    started.catch(() => undefined);
    return () => void started.then(() => this.#client.unwatch(path, token)).catch(() => undefined);
  }

  inspect(): Inspection {
    return this.#server.inspect();
  }

  /** Each request of any client, as it is answered. @returns how to stop. */
  onRequest(listener: (request: StoreRequest) => void): () => void {
    this.#listeners.add(listener);
    this.#server.onRequest = (request) => {
      for (const each of this.#listeners) each(request);
    };
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) this.#server.onRequest = undefined;
    };
  }
}

const decodePermission = (text: string): Permissions[number] => ({
  access: text.slice(0, 1) as Permissions[number]['access'],
  domid: Number(text.slice(1)),
});

/** Errors of the store carry their errno as `code`. */
function asStoreError(error: unknown, path: string): unknown {
  if (!(error instanceof Error) || error.name !== 'XenStoreError' || !('code' in error))
    return error;
  const errno = String(error.code);
  if (errno === 'EINVAL' || errno === 'E2BIG') {
    return new CommandError('bad-value', `"${path}" is no path of XenStore.`, { errno });
  }
  if (errno === 'ENOENT') return new CommandError('no-such-node', `There is no node ${path}.`);
  return new CommandError('store-refused', `XenStore refuses ${path}: ${errno}.`, { errno });
}
