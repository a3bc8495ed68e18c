/** What the network needs of the machine it runs on, besides sockets: time and chance. Tests bring their own. */

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
