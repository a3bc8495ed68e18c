/**
 * Domain 0, which is the main thread: its event channels (handed over in batches), and the frames of others that it has
 * mapped (it reads RAM itself, so mapping means holding the frame).
 */

import type { Domain } from './common/domain.js';
import type { FramePool } from './common/frame-pool.js';
import { ControlError, checked } from './control-error.js';
import { Dom0Grants } from './dom0-grants.js';
import type { HypervisorHost } from './host.js';
import type { Ram } from './machine/ram.js';
import { asMfn, type Frame } from './machine/types.js';

/** A guest that notifies in a loop makes one message in this time. */
const FLUSH_INTERVAL_NS = 50_000;

interface ForeignFrame {
  readonly frame: Frame;
  count: number;
}

export interface Dom0Parts {
  readonly host: HypervisorHost;
  readonly ram: Ram;
  readonly frames: FramePool;
  /** The bytes of a frame may have changed: what was decoded from it is out of date. */
  frameWritten(frame: Frame): void;
}

export class Dom0 {
  /** A domain without memory and vCPUs. */
  readonly domain: Domain;
  readonly grants: Dom0Grants;
  readonly #host: HypervisorHost;
  readonly #ram: Ram;
  readonly #frames: FramePool;
  readonly #frameWritten: (frame: Frame) => void;
  readonly #pending: Set<number>;
  #nextFlush = 0;
  /** Frames mapped by domain and MFN: they stay mapped when the domain dies. */
  readonly #foreign = new Map<string, ForeignFrame>();

  constructor(domain: Domain, pending: Set<number>, parts: Dom0Parts) {
    this.domain = domain;
    this.grants = new Dom0Grants(domain, parts);
    this.#pending = pending;
    this.#host = parts.host;
    this.#ram = parts.ram;
    this.#frames = parts.frames;
    this.#frameWritten = parts.frameWritten;
  }

  /** Hands over the ports that became pending since the last time, each once; not so often that dom0 is flooded. */
  flushEvents(now: number): void {
    if (this.#pending.size === 0 || now < this.#nextFlush) return;
    this.#nextFlush = now + FLUSH_INTERVAL_NS;
    this.#host.send({ event: 'evtchn', ports: [...this.#pending] });
    this.#pending.clear();
  }

  /** Hands them over now: the host is about to sleep. */
  flushAllEvents(): void {
    this.#nextFlush = 0;
    this.flushEvents(0);
  }

  bindInterdomain(remote: Domain, remotePort: number): { port: number } {
    const result = this.domain.events.bindInterdomain(remote.events, remotePort);
    return { port: checked(result, `d${remote.id} port ${remotePort} does not wait for domain 0`) };
  }

  allocateUnbound(remoteDom: number): { port: number } {
    return { port: checked(this.domain.events.allocateUnbound(remoteDom), 'no port left') };
  }

  send(port: number): null {
    checked(this.domain.events.send(port), `port ${port} is not open`);
    return null;
  }

  close(port: number): null {
    checked(this.domain.events.close(port), `port ${port} is not open`);
    this.#pending.delete(port);
    return null;
  }

  /** Holds any frame of a domain by its MFN, as privcmd's foreign mapping does. */
  mapForeign(domain: Domain, mfn: number): { address: number } {
    const frame = domain.frameMap.lookup(asMfn(mfn));
    if (frame === undefined) throw new ControlError('EINVAL', `d${domain.id} has no MFN ${mfn}`);
    const key = `${domain.id}:${mfn}`;
    const known = this.#foreign.get(key);
    if (known?.frame === frame) known.count++;
    else {
      // A domain of that number has died and left a mapping: it stays held under a name nobody asks for.
      if (known) this.#foreign.set(`${key}:${this.#foreign.size}`, known);
      this.#foreign.set(key, { frame, count: 1 });
      this.#frames.hold(frame);
    }
    return { address: this.#ram.addressOf(frame) };
  }

  unmapForeign(domid: number, mfn: number): null {
    const key = `${domid}:${mfn}`;
    const known = this.#foreign.get(key);
    if (!known) throw new ControlError('EINVAL', `MFN ${mfn} of d${domid} is not mapped`);
    if (--known.count > 0) return null;
    this.#foreign.delete(key);
    this.#frameWritten(known.frame);
    this.#frames.drop(known.frame);
    return null;
  }
}
