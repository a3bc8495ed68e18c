/** What tests of the network need: a host whose time they move, stations, frames. */

import type { NetworkHost } from '../../dom0/network/host.js';
import type { Frame, PortCapabilities, PortOwner } from '../../dom0/network/port.js';

/** Time stands still until a test moves it; chance is a count. */
export class FakeHost implements NetworkHost {
  #now = 0;
  #chance = 0;
  readonly #timers = new Set<{ readonly at: number; readonly call: () => void }>();
  #soon: (() => void)[] = [];

  now(): number {
    return this.#now;
  }

  wallClockNs(): bigint {
    return 1_700_000_000_000_000_000n + BigInt(Math.round(this.#now * 1e6));
  }

  after(ms: number, call: () => void): () => void {
    const timer = { at: this.#now + ms, call };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  soon(call: () => void): void {
    this.#soon.push(call);
  }

  random(limit: number): number {
    this.#chance = (this.#chance * 1_103_515_245 + 12_345) % 2 ** 31;
    return this.#chance % limit;
  }

  /** Timers that wait: what is closed leaves none behind. */
  get waiting(): number {
    return this.#timers.size;
  }

  /** Runs what was put off. */
  settle(): void {
    for (let calls = this.#soon; calls.length > 0; calls = this.#soon) {
      this.#soon = [];
      for (const call of calls) call();
    }
  }

  /** Lets so many milliseconds pass, timers running in order, each at its own time. */
  advance(ms: number): void {
    const end = this.#now + ms;
    this.settle();
    for (let timer = this.#next(end); timer; timer = this.#next(end)) {
      this.#timers.delete(timer);
      this.#now = Math.max(this.#now, timer.at);
      timer.call();
      this.settle();
    }
    this.#now = end;
  }

  #next(end: number): { readonly at: number; readonly call: () => void } | undefined {
    const [first] = [...this.#timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at);
    return first;
  }
}

const ETHERNET: PortCapabilities = {
  checksum: false,
  gsoTcp4: false,
  gsoTcp6: false,
  maxFrame: 1514,
};

/** An owner of a port that keeps what it receives. */
export class Station implements PortOwner {
  readonly name: string;
  full = false;
  can: PortCapabilities;
  #frames: Frame[] = [];

  constructor(name: string, can: Partial<PortCapabilities> = {}) {
    this.name = name;
    this.can = { ...ETHERNET, ...can };
  }

  capabilities(): PortCapabilities {
    return this.can;
  }

  receive(frame: Frame): boolean {
    if (!this.full) this.#frames.push({ ...frame, bytes: frame.bytes.slice() });
    return !this.full;
  }

  /** What has come since the last time. */
  take(): Frame[] {
    const frames = this.#frames;
    this.#frames = [];
    return frames;
  }
}

export const macBytes = (mac: string): Uint8Array =>
  Uint8Array.from(mac.split(':'), (byte) => Number.parseInt(byte, 16));

/** A frame of an Ethernet type that is for experiments (88b5), or of another. */
export function frame(
  to: string,
  from: string,
  payload = new Uint8Array(46),
  type = 0x88b5,
): Frame {
  const bytes = new Uint8Array(14 + payload.length);
  bytes.set(macBytes(to), 0);
  bytes.set(macBytes(from), 6);
  bytes.set([type >> 8, type & 0xff], 12);
  bytes.set(payload, 14);
  return { bytes };
}
