/**
 * One split device from its backend's side: its directories in XenStore, and the state machine that follows the frontend.
 * Spec: Xen public/io/xenbus.h, blkif.h "STATE DIAGRAMS"; libxl's nodes below /libxl/<domid>/device.
 *
 *     frontend says            backend does                                 backend says
 *     ───────────────────────  ───────────────────────────────────────────  ─────────────────────────
 *     (attach)                 writes both directories                      InitWait
 *     Initialised, Connected   hooks.connect, unless connected or failed    Connected
 *     Closing                  hooks.disconnect                             Closing
 *     Closed, no such node     hooks.disconnect                             Closed (online = 0: all is removed)
 *     Initialising             hooks.disconnect; forgets a failure          InitWait
 *
 * The last row is how a device outlives its driver: GRUB closes it and Linux finds it in Initialising; a kernel that kexec
 * started walks the old device through Closing and Closed first. A frontend writes whatever it likes at any time: each
 * look at its state is one step of a queue, steps never overlap, and nothing that it writes makes a step throw.
 *
 * What the hooks may rely on: connect and disconnect alternate, never overlap, and disconnect is called once for each
 * connect that was begun, even if that threw.
 */

import { BACKEND_NODES, FRONTEND_NODES, XENBUS_STATE } from '../hypervisor/public/io/xenbus.js';
import type { StoreAccess } from '../xenstore/client/client.js';
import { XenStoreError } from '../xenstore/protocol/errors.js';
import type { DeviceEvent, DeviceEventKind, DeviceKind } from './device.js';
import type { Dom0 } from './guest.js';
import { domainPath } from './guest-nodes.js';
import { messageOf } from './message-of.js';
import { announceState, decodeState, type XenbusState } from './xenbus.js';

type Nodes = Readonly<Record<string, string>>;

export interface XenbusFacts {
  readonly kind: DeviceKind;
  readonly domid: number;
  readonly devid: number;
  /** As events call it: "vbd 51712 (xvda)". */
  readonly name: string;
  /** Nodes of the frontend's directory besides backend, backend-id and state. The guest owns them. */
  readonly frontendNodes: Nodes;
  /** Nodes of the backend's directory besides frontend, frontend-id, online and state: what it is, what it can do. */
  readonly backendNodes: Nodes;
}

/** Reads a node of the frontend's directory, "queue-0/ring-ref": the guest's own words, to be checked. */
export type ReadFrontend = (node: string) => Promise<string | undefined>;

export interface XenbusHooks {
  /** The frontend has published its details. To throw is to call `fail` with the error's message. */
  connect(read: ReadFrontend): Promise<void>;
  /** Lets go of everything that connect took, also if that threw half-way. Cannot fail. */
  disconnect(): Promise<void>;
  event(event: DeviceEvent): void;
}

/** Watches differ by token, also if a device is attached again under the same number. */
let tokens = 0;

const { INITIALISING, INIT_WAIT, INITIALISED, CONNECTED, CLOSING, CLOSED, UNKNOWN } = XENBUS_STATE;

export class XenbusDevice {
  readonly facts: XenbusFacts;
  readonly frontendPath: string;
  readonly backendPath: string;
  readonly #libxlPath: string;
  readonly #dom0: Dom0;
  readonly #hooks: XenbusHooks;
  readonly #token: string;
  #backend: XenbusState = INITIALISING;
  #frontend: XenbusState = INITIALISING;
  /** The steps that are under way or wait; never rejects. */
  #work: Promise<void> = Promise.resolve();
  #isLookDue = false;
  /** Whether a connect was begun that no disconnect has followed yet. */
  #isConnected = false;
  /** Failed: not connected again before the frontend starts anew. */
  #hasFailed = false;
  #isLeaving = false;
  #isGone = false;
  #whenClosed: () => void = () => undefined;

  constructor(dom0: Dom0, facts: XenbusFacts, hooks: XenbusHooks) {
    const { kind, domid, devid } = facts;
    tokens += 1;
    this.facts = facts;
    this.frontendPath = `${domainPath(domid)}/device/${kind}/${devid}`;
    this.backendPath = `${domainPath(0)}/backend/${kind}/${domid}/${devid}`;
    this.#libxlPath = `/libxl/${domid}/device/${kind}/${devid}`;
    this.#token = `${kind}-${domid}-${devid}-${tokens}`;
    this.#dom0 = dom0;
    this.#hooks = hooks;
  }

  get backendState(): XenbusState {
    return this.#backend;
  }

  /** As last seen. */
  get frontendState(): XenbusState {
    return this.#frontend;
  }

  /** Whether the ring is in use. */
  get connected(): boolean {
    return this.#backend === CONNECTED && this.#isConnected && !this.#hasFailed;
  }

  /** Makes the device visible and begins to follow the frontend. @throws XenStoreError; then nothing is left of it. */
  async attach(): Promise<void> {
    const { store } = this.#dom0;
    try {
      await store.transaction((access) => this.#writeNodes(access));
      this.#backend = INIT_WAIT;
      await store.watch(`${this.frontendPath}/${FRONTEND_NODES.STATE}`, this.#token, () =>
        this.#lookSoon(),
      );
    } catch (error) {
      await this.#removeNodes();
      throw error;
    }
  }

  /** The frontend broke the protocol: tells so, and closes this device until the frontend starts anew. */
  fail(reason: string): void {
    if (this.#hasFailed || this.#isGone) return;
    this.#hasFailed = true;
    this.#tell('protocol-error', reason);
    void this.#enqueue(async () => {
      await this.#disconnect();
      if (!this.#isGone) await this.#announce(CLOSING);
    });
  }

  /**
   * Asks the frontend to let go, waits so long for it, then removes everything there is of the device. With a wait of 0
   * nobody is asked. Cannot fail.
   */
  async detach({ waitMs }: { readonly waitMs: number }): Promise<void> {
    if (waitMs > 0) await this.#askToClose(waitMs);
    await this.#enqueue(() => this.#remove());
  }

  async #writeNodes(store: StoreAccess): Promise<void> {
    const { domid, frontendNodes, backendNodes } = this.facts;
    const frontend: Nodes = {
      [FRONTEND_NODES.BACKEND]: this.backendPath,
      [FRONTEND_NODES.BACKEND_ID]: '0',
      [FRONTEND_NODES.STATE]: String(INITIALISING),
      ...frontendNodes,
    };
    const backend: Nodes = {
      [BACKEND_NODES.FRONTEND]: this.frontendPath,
      [BACKEND_NODES.FRONTEND_ID]: String(domid),
      [BACKEND_NODES.ONLINE]: '1',
      [BACKEND_NODES.STATE]: String(INIT_WAIT),
      ...backendNodes,
    };
    const links = { frontend: this.frontendPath, backend: this.backendPath };
    // Whoever owns a directory comes first; children inherit.
    await Promise.all([
      ...writeDirectory(store, this.#libxlPath, [0], { ...backend, ...links }),
      ...writeDirectory(store, this.frontendPath, [domid, 0], frontend),
      ...writeDirectory(store, this.backendPath, [0, domid], backend),
    ]);
  }

  #lookSoon(): void {
    if (this.#isLookDue || this.#isGone) return;
    this.#isLookDue = true;
    void this.#enqueue(() => this.#look());
  }

  /** A step that throws is a mistake of the host: it is told, and the next step comes all the same. */
  #enqueue(step: () => Promise<void>): Promise<void> {
    this.#work = this.#work.then(step).catch((error: unknown) => {
      // A store that is gone: the service is ending.
      if (!(error instanceof XenStoreError)) this.#tell('io-error', messageOf(error));
    });
    return this.#work;
  }

  async #look(): Promise<void> {
    this.#isLookDue = false;
    if (this.#isGone) return;
    const path = `${this.frontendPath}/${FRONTEND_NODES.STATE}`;
    const before = this.#frontend;
    const state = decodeState(await this.#dom0.store.tryRead(path));
    this.#frontend = state;
    switch (state) {
      case INITIALISING:
        await this.#startAnew();
        break;
      case INITIALISED:
        // It was further already: another driver has begun.
        if (before === CONNECTED) await this.#disconnect();
        await this.#connect();
        break;
      case CONNECTED:
        await this.#connect();
        break;
      case CLOSING:
        await this.#close(CLOSING);
        break;
      case CLOSED:
      case UNKNOWN:
        await this.#close(CLOSED);
        break;
    }
  }

  async #startAnew(): Promise<void> {
    if (this.#backend === INIT_WAIT && !this.#isConnected) return;
    await this.#disconnect();
    if (this.#isLeaving) {
      await this.#close(CLOSED);
      return;
    }
    this.#hasFailed = false;
    await this.#announce(INIT_WAIT);
  }

  async #connect(): Promise<void> {
    if (this.#isConnected || this.#hasFailed || this.#isLeaving) return;
    this.#isConnected = true;
    try {
      await this.#hooks.connect((node) => this.#readFrontend(node));
    } catch (error) {
      this.fail(messageOf(error));
      return;
    }
    await this.#announce(CONNECTED);
    this.#tell('connected', 'the frontend has connected');
  }

  async #close(state: typeof CLOSING | typeof CLOSED): Promise<void> {
    const wasConnected = this.#isConnected;
    await this.#disconnect();
    if (this.#backend !== state) await this.#announce(state);
    if (wasConnected) this.#tell('closed', 'the frontend has closed the device');
    if (state === CLOSING) return;
    this.#hasFailed = false;
    this.#whenClosed();
    const online = await this.#dom0.store.tryRead(`${this.backendPath}/${BACKEND_NODES.ONLINE}`);
    if (online === '0') await this.#remove();
  }

  async #disconnect(): Promise<void> {
    if (!this.#isConnected) return;
    this.#isConnected = false;
    await this.#hooks.disconnect();
  }

  /** A node that the guest has made unreadable is none. */
  #readFrontend(node: string): Promise<string | undefined> {
    return this.#dom0.store.tryRead(`${this.frontendPath}/${node}`).catch(() => undefined);
  }

  async #announce(state: XenbusState): Promise<void> {
    this.#backend = state;
    await announceState(this.#dom0.store, this.backendPath, state);
  }

  /** As libxl does: online 0 and state Closing, then the frontend's Closed is waited for. */
  async #askToClose(waitMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const closed = new Promise<void>((resolve) => {
      this.#whenClosed = resolve;
      timer = setTimeout(resolve, waitMs);
    });
    await this.#enqueue(async () => {
      this.#isLeaving = true;
      if (!this.#isConnected || this.#isGone) {
        this.#whenClosed();
        return;
      }
      await this.#dom0.store.write(`${this.backendPath}/${BACKEND_NODES.ONLINE}`, '0');
      await this.#announce(CLOSING);
    });
    await closed;
    clearTimeout(timer);
  }

  async #remove(): Promise<void> {
    if (this.#isGone) return;
    this.#isGone = true;
    this.#backend = CLOSED;
    const path = `${this.frontendPath}/${FRONTEND_NODES.STATE}`;
    await this.#dom0.store.unwatch(path, this.#token).catch(() => undefined);
    await this.#disconnect();
    await this.#removeNodes();
    this.#whenClosed();
  }

  async #removeNodes(): Promise<void> {
    const { store } = this.#dom0;
    const paths = [this.frontendPath, this.backendPath, this.#libxlPath];
    await Promise.allSettled(paths.map((path) => store.rm(path)));
    await Promise.allSettled(paths.map((path) => removeIfEmpty(store, parentOf(path))));
  }

  #tell(kind: DeviceEventKind, detail: string): void {
    const { domid, name } = this.facts;
    this.#hooks.event({ kind, domid, device: name, detail });
  }
}

/** @param who the owner, then a reader if there is one. */
function writeDirectory(
  store: StoreAccess,
  path: string,
  [owner, reader]: readonly [owner: number, reader?: number],
  nodes: Nodes,
): Promise<void>[] {
  const readers = reader === undefined ? [] : [{ access: 'r', domid: reader } as const];
  return [
    store.rm(path).catch(ignoreAbsence),
    store.write(path, ''),
    store.setPerms(path, [{ access: 'n', domid: owner }, ...readers]),
    ...Object.entries(nodes).map(([node, value]) => store.write(`${path}/${node}`, value)),
  ];
}

/** The directory of a domain's devices of the kind goes with the last of them. */
async function removeIfEmpty(store: Dom0['store'], path: string): Promise<void> {
  await store.transaction(async (access) => {
    if ((await access.directory(path)).length === 0) await access.rm(path);
  });
}

const parentOf = (path: string): string => path.slice(0, path.lastIndexOf('/'));

function ignoreAbsence(error: unknown): void {
  if (!(error instanceof XenStoreError && error.code === 'ENOENT')) throw error;
}
