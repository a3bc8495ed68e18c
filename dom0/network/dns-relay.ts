/**
 * Guests' DNS: queries go as they are to the host's resolvers, one after the other; if none answers, the host itself is
 * asked (node:dns, which knows /etc/hosts and whatever else the host looks names up in).
 * Spec: RFC 1035 §4.1.1 (header), RFC 5452 §9 (ids and ports that cannot be guessed).
 */

import { createSocket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import { answerByHost } from './dns-host.js';
import type { NetworkHost } from './host.js';
import { type Endpoint, parseResolver } from './nat-context.js';
import { copyOf, read8, read16, write16 } from './wire.js';

/** Milliseconds one resolver is given, and how many are asked. */
const PATIENCE = 2500;
const MOST_RESOLVERS = 3;
/** Of all guests together. */
const MOST_QUERIES = 256;
const HEADER_SIZE = 12;
const RESPONSE_BIT = 0x80;

export class DnsRelay<Guest> {
  readonly #host: NetworkHost;
  readonly #resolvers: () => readonly string[];
  readonly #mostPerGuest: number;
  readonly #running = new Map<Guest, number>();
  readonly #cancels = new Set<() => void>();

  constructor(host: NetworkHost, resolvers: () => readonly string[], mostPerGuest: number) {
    this.#host = host;
    this.#resolvers = resolvers;
    this.#mostPerGuest = mostPerGuest;
  }

  /** @returns the answer; undefined for what is no query, or if the guest has too many. */
  async query(guest: Guest, message: Uint8Array): Promise<Uint8Array | undefined> {
    const running = this.#running.get(guest) ?? 0;
    const isQuery = message.length >= HEADER_SIZE && (read8(message, 2) & RESPONSE_BIT) === 0;
    if (!isQuery || running >= this.#mostPerGuest || this.#cancels.size >= MOST_QUERIES) {
      return undefined;
    }
    this.#running.set(guest, running + 1);
    try {
      return await this.#resolve(copyOf(message));
    } finally {
      const left = (this.#running.get(guest) ?? 1) - 1;
      if (left > 0) this.#running.set(guest, left);
      else this.#running.delete(guest);
    }
  }

  /** Ends what waits, without an answer. */
  close(): void {
    for (const cancel of this.#cancels) cancel();
  }

  async #resolve(query: Uint8Array): Promise<Uint8Array | undefined> {
    for (const resolver of this.#resolvers().slice(0, MOST_RESOLVERS)) {
      const answer = await this.#ask(parseResolver(resolver), query);
      if (answer) return answer;
    }
    return answerByHost(query);
  }

  /** Asks one resolver, from a port and with an id of its own. @returns undefined if it does not answer. */
  #ask({ address, port }: Endpoint, query: Uint8Array): Promise<Uint8Array | undefined> {
    const id = this.#host.random(0x1_0000);
    const asked = copyOf(query);
    write16(asked, 0, id);
    return new Promise((resolve) => {
      const socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4');
      const settle = (answer?: Uint8Array): void => {
        if (!this.#cancels.delete(settle)) return;
        cancelTimer();
        socket.close();
        resolve(answer);
      };
      const cancelTimer = this.#host.after(PATIENCE, () => settle());
      this.#cancels.add(settle);
      socket.on('error', () => settle()); // also when nobody listens there: the socket is connected
      socket.on('message', (message) => {
        const isAnswer = message.length >= HEADER_SIZE && (read8(message, 2) & RESPONSE_BIT) !== 0;
        if (!isAnswer || read16(message, 0) !== id) return;
        const answer = Uint8Array.from(message);
        answer.set(query.subarray(0, 2));
        settle(answer);
      });
      socket.once('connect', () => socket.send(asked));
      socket.connect(port, address);
    });
  }
}
