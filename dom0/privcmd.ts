/**
 * dom0's door to the hypervisor: control calls as promises, event channels as callbacks, machine frames as bytes.
 * Spec: hypervisor/public/privcmd.ts.
 */

import { ERRNO } from '../hypervisor/public/errno.js';
import type {
  GrantMapping,
  PrivcmdCall,
  PrivcmdError,
  PrivcmdEvent,
  PrivcmdMessage,
  PrivcmdOp,
  PrivcmdOps,
} from '../hypervisor/public/privcmd.js';
import { GRANT_COPY } from '../hypervisor/public/privcmd.js';
import { BounceBuffer } from './bounce-buffer.js';

const PAGE_SIZE = 4096;

/** The two directions to the hypervisor, however they are carried. */
export interface PrivcmdChannel {
  send(call: PrivcmdCall): void;
  /** Called once, before anything is sent. */
  listen(receive: (message: PrivcmdMessage) => void): void;
}

/** Memory that is shared with the hypervisor. */
export interface SharedMemory {
  /** All of RAM: what foreignmap and gnttab.map return are offsets into it. */
  readonly ram: Uint8Array;
  /** What gnttab.copy copies from and to. */
  readonly bounce: Uint8Array;
}

/** The hypervisor answered with an errno. */
export class PrivcmdRefusal extends Error {
  override readonly name = 'PrivcmdRefusal';
  readonly errno: string;
  readonly detail: Readonly<Record<string, unknown>>;
  /** What the hypervisor's log has said of the domain lately, if the call was about one. */
  readonly log: readonly string[];

  constructor(op: string, { errno, message, detail }: PrivcmdError, log: readonly string[] = []) {
    super(`${op}: ${message} (-${errno})`);
    this.errno = errno;
    this.detail = { message, ...detail };
    this.log = log;
  }
}

/** The hypervisor has stopped, for whatever reason; no call will be answered any more. */
export class PrivcmdGone extends Error {
  override readonly name = 'PrivcmdGone';
}

export interface EventChannel {
  readonly port: number;
  /** Sends an event to the other end; nothing happens if that is gone. */
  notify(): void;
  close(): Promise<void>;
}

export interface MappedPage {
  /** The frame itself, shared with the guest: whatever is read from it may change at any time. */
  readonly bytes: Uint8Array;
  unmap(): Promise<void>;
}

/** A granted page that is held until `unmapGrants`. The guest may change it at any time. */
export interface MappedGrant {
  readonly handle: number;
  readonly bytes: Uint8Array;
}

/** One copy between a granted page and the bounce buffer. */
export interface GrantCopy {
  readonly ref: number;
  /** First byte in the page; `offset` + `length` is at most a page. */
  readonly offset: number;
  readonly length: number;
  /** First byte in the bounce buffer. */
  readonly at: number;
}

/** Lines of the log that are remembered, and those of them that explain a refusal. */
const RECENT_LINES = 200;
const EXCERPT_LINES = 10;

export type DomainNotice = Extract<PrivcmdEvent, { event: 'domain' }>;

interface Waiting {
  readonly op: PrivcmdOp;
  /** The domain that the call is about, if it is about one. */
  readonly domid: number | undefined;
  resolve(result: never): void;
  reject(error: Error): void;
}

export class Privcmd {
  /** Where gnttab.copy finds and leaves bytes: whoever copies has taken a part of it first. */
  readonly bounce: BounceBuffer;
  readonly #ram: Uint8Array;
  readonly #channel: PrivcmdChannel;
  readonly #waiting = new Map<number, Waiting>();
  readonly #ports = new Map<number, () => void>();
  readonly #domainListeners = new Set<(notice: DomainNotice) => void>();
  readonly #logListeners = new Set<(line: string) => void>();
  readonly #ready: Promise<void>;
  #settleReady: { resolve(): void; reject(error: Error): void } | undefined;
  /** The last lines of the hypervisor's log. */
  #recent: string[] = [];
  #lastId = 0;
  #gone: PrivcmdGone | undefined;

  constructor(channel: PrivcmdChannel, { ram, bounce }: SharedMemory) {
    this.#channel = channel;
    this.#ram = ram;
    this.bounce = new BounceBuffer(bounce);
    this.#ready = new Promise((resolve, reject) => {
      this.#settleReady = { resolve, reject };
    });
    this.#ready.catch(() => undefined);
    channel.listen((message) => this.#receive(message));
  }

  /** Resolves when the hypervisor takes calls, rejects if it fails before. */
  get ready(): Promise<void> {
    return this.#ready;
  }

  /** @throws PrivcmdRefusal with the errno; PrivcmdGone if there is no hypervisor any more. */
  call<Op extends PrivcmdOp>(
    op: Op,
    args: PrivcmdOps[Op]['args'],
  ): Promise<PrivcmdOps[Op]['result']> {
    if (this.#gone !== undefined) return Promise.reject(this.#gone);
    this.#lastId += 1;
    const id = this.#lastId;
    return new Promise((resolve, reject) => {
      const domid = 'domid' in args ? args.domid : undefined;
      this.#waiting.set(id, { op, domid, resolve, reject });
      this.#channel.send({ ...args, id, op } as PrivcmdCall);
    });
  }

  /** Binds to a port that the domain has offered to domain 0. `onEvent` may be called before this resolves. */
  async bindInterdomain(
    remoteDom: number,
    remotePort: number,
    onEvent: () => void,
  ): Promise<EventChannel> {
    const { port } = await this.call('evtchn.bind_interdomain', { remoteDom, remotePort });
    this.#ports.set(port, onEvent);
    // Binding raises the port at once; whether that was before this line or not, one look too many does no harm.
    onEvent();
    return {
      port,
      notify: () => void this.call('evtchn.send', { port }).catch(() => undefined),
      close: async () => {
        this.#ports.delete(port);
        await this.call('evtchn.close', { port }).catch(ignoreRefusal);
      },
    };
  }

  /** Maps a frame of a domain; it stays the domain's and is held until it is unmapped. */
  async mapFrame(domid: number, mfn: number): Promise<MappedPage> {
    const { address } = await this.call('foreignmap', { domid, mfn });
    return {
      bytes: this.#ram.subarray(address, address + PAGE_SIZE),
      unmap: async () => {
        await this.call('foreignunmap', { domid, mfn }).catch(ignoreRefusal);
      },
    };
  }

  /** Maps pages that the domain has granted to domain 0: all of them, or none. @throws PrivcmdRefusal with the first refusal. */
  async mapGrants(
    domid: number,
    refs: readonly number[],
    { readonly = false } = {},
  ): Promise<MappedGrant[]> {
    const { grants } = await this.call('gnttab.map', { domid, refs, readonly });
    const mapped = grants.flatMap((grant) => ('handle' in grant ? [grant] : []));
    const refusal = grants.find((grant) => 'status' in grant);
    if (refusal !== undefined) {
      await this.unmapGrants(mapped);
      throw grantRefusal(refusal);
    }
    return mapped.map(({ handle, address }) => ({
      handle,
      bytes: this.#ram.subarray(address, address + PAGE_SIZE),
    }));
  }

  async unmapGrants(grants: readonly { readonly handle: number }[]): Promise<void> {
    if (grants.length === 0) return;
    const handles = grants.map(({ handle }) => handle);
    await this.call('gnttab.unmap', { handles }).catch(ignoreRefusal);
  }

  /**
   * To be said of mapped pages after they were written to and before the guest is notified: the processor may know
   * instructions that were in them. Needs no waiting for: calls keep their order.
   */
  grantsWritten(grants: readonly MappedGrant[]): void {
    if (grants.length === 0) return;
    const handles = grants.map(({ handle }) => handle);
    void this.call('gnttab.written', { handles }).catch(ignoreRefusal);
  }

  /** Copies from the bounce buffer to granted pages. @returns a GNTST status for each copy, 0 if it was done. */
  copyToGrants(domid: number, copies: readonly GrantCopy[]): Promise<Int8Array> {
    return this.#copyGrants(domid, copies, true);
  }

  /** Copies from granted pages to the bounce buffer. @returns a GNTST status for each copy, 0 if it was done. */
  copyFromGrants(domid: number, copies: readonly GrantCopy[]): Promise<Int8Array> {
    return this.#copyGrants(domid, copies, false);
  }

  async #copyGrants(
    domid: number,
    grantCopies: readonly GrantCopy[],
    toGuest: boolean,
  ): Promise<Int8Array> {
    const { REF, OFFSET, LENGTH, AT, WORDS } = GRANT_COPY;
    const copies = new Uint32Array(grantCopies.length * WORDS);
    for (const [n, { ref, offset, length, at }] of grantCopies.entries()) {
      const word = n * WORDS;
      copies[word + REF] = ref;
      copies[word + OFFSET] = offset;
      copies[word + LENGTH] = length;
      copies[word + AT] = at;
    }
    const { statuses } = await this.call('gnttab.copy', { domid, toGuest, copies });
    return statuses;
  }

  /** @returns how to stop. */
  onDomain(listener: (notice: DomainNotice) => void): () => void {
    this.#domainListeners.add(listener);
    return () => this.#domainListeners.delete(listener);
  }

  /** Lines of the hypervisor's log as they come. @returns how to stop. */
  onLog(listener: (line: string) => void): () => void {
    this.#logListeners.add(listener);
    return () => this.#logListeners.delete(listener);
  }

  /** The last lines of the hypervisor's log that speak of a domain, as far as they are among the last of all. */
  logAbout(domid: number): string[] {
    const about = new RegExp(`\\bd${domid}(v\\d+)?\\b`);
    return this.#recent.filter((line) => about.test(line)).slice(-EXCERPT_LINES);
  }

  /** The hypervisor is no more: whoever waits is told. */
  fail(reason: string): void {
    if (this.#gone !== undefined) return;
    const gone = new PrivcmdGone(reason);
    this.#gone = gone;
    this.#settleReady?.reject(gone);
    for (const { reject } of this.#waiting.values()) reject(gone);
    this.#waiting.clear();
  }

  #receive(message: PrivcmdMessage): void {
    if ('event' in message) {
      this.#event(message);
      return;
    }
    const waiting = this.#waiting.get(message.id);
    this.#waiting.delete(message.id);
    if (waiting === undefined) return;
    if ('error' in message) {
      const { op, domid } = waiting;
      const log = domid === undefined ? [] : this.logAbout(domid);
      waiting.reject(new PrivcmdRefusal(op, message.error, log));
    } else waiting.resolve(message.result as never);
  }

  #event(message: PrivcmdEvent): void {
    switch (message.event) {
      case 'evtchn':
        for (const port of message.ports) this.#ports.get(port)?.();
        break;
      case 'domain':
        for (const listener of this.#domainListeners) listener(message);
        break;
      case 'log':
        this.#recent = [...this.#recent.slice(1 - RECENT_LINES), message.text];
        for (const listener of this.#logListeners) listener(message.text);
        break;
      case 'ready':
        this.#settleReady?.resolve();
        break;
      case 'console_io':
        // The hypervisor has put it into its log already.
        break;
    }
  }
}

function grantRefusal({ status, why }: Extract<GrantMapping, { why: string }>): PrivcmdRefusal {
  const error = { number: -ERRNO.EINVAL, message: why, detail: { status } };
  return new PrivcmdRefusal('gnttab.map', { errno: 'EINVAL', ...error });
}

/** Undoing what a dead domain has taken along is no mistake. */
function ignoreRefusal(error: unknown): void {
  if (!(error instanceof PrivcmdRefusal || error instanceof PrivcmdGone)) throw error;
}
