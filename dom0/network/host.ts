/** What the network needs of the machine it runs on, besides sockets: time and chance. Tests bring their own. */

import { randomInt } from 'node:crypto';

export interface NetworkHost {
  /** Milliseconds that never go back. */
  now(): number;
  /** Nanoseconds since 1970, for captures. */
  wallClockNs(): bigint;
  /** Calls once, after so many milliseconds. @returns how to take that back. */
  after(ms: number, call: () => void): () => void;
  /** Calls once what is running now has ended: work of one batch of frames is done once. */
  soon(call: () => void): void;
  /** A number below `limit` (at most 2^32) that a guest cannot guess. */
  random(limit: number): number;
}

/** This machine. Its timers do not keep the process alive. */
export const systemHost: NetworkHost = {
  now: () => performance.now(),
  wallClockNs: () => BigInt(Math.round((performance.timeOrigin + performance.now()) * 1e6)),
  after(ms, call) {
    const timer = setTimeout(call, ms).unref();
    return () => clearTimeout(timer);
  },
  soon: (call) => void setImmediate(call),
  random: (limit) => randomInt(limit),
};
