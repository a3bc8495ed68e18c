/** The hypervisor's Worker: gives it RAM, a clock and its mailbox, and lets it run until it is told to stop. */

import { type MessagePort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import type { HypervisorHost } from '../../hypervisor/host.js';
import { Hypervisor } from '../../hypervisor/index.js';
import type { Clock } from '../../hypervisor/machine/clock.js';
import { Ram } from '../../hypervisor/machine/ram.js';
import type { PrivcmdCall, PrivcmdMessage } from '../../hypervisor/public/privcmd.js';
import type { WorkerSeed } from './hypervisor-thread.js';

const NS_PER_MS = 1e6;

function hostClock(): Clock {
  const start = performance.now();
  return {
    wallClockAtStart: Date.now() * NS_PER_MS,
    now: () => Math.round((performance.now() - start) * NS_PER_MS),
  };
}

/** Calls come in batches; the replies to a batch go back as one message, everything else at once. */
class Mailbox implements HypervisorHost {
  readonly doorbell: Int32Array;
  readonly bounce: Uint8Array;
  readonly #port: MessagePort;
  #calls: readonly PrivcmdCall[] = [];
  #next = 0;
  #replies: PrivcmdMessage[] = [];

  constructor({ port, doorbell, bounce }: WorkerSeed) {
    this.#port = port;
    this.doorbell = doorbell;
    this.bounce = bounce;
  }

  receive(): PrivcmdCall | undefined {
    if (this.#next === this.#calls.length) {
      this.#calls = receiveMessageOnPort(this.#port)?.message ?? [];
      this.#next = 0;
    }
    const call = this.#calls[this.#next];
    if (call === undefined) this.flush();
    else this.#next += 1;
    return call;
  }

  send(message: PrivcmdMessage): void {
    this.#replies.push(message);
    if (!('id' in message)) this.flush();
  }

  waitForInput(timeoutMs: number | undefined, seen: number): void {
    this.flush();
    Atomics.wait(this.doorbell, 0, seen, timeoutMs);
  }

  /** Sends the replies that wait. */
  flush(): void {
    if (this.#replies.length === 0) return;
    this.#port.postMessage(this.#replies);
    this.#replies = [];
  }
}

/** By way of memory of our own: Web Crypto refuses what is shared. */
function hostRandom(into: Uint8Array): void {
  into.set(crypto.getRandomValues(new Uint8Array(into.length)));
}

const seed = workerData as WorkerSeed;
const mailbox = new Mailbox(seed);
const hypervisor = new Hypervisor({
  ram: new Ram(seed.memory),
  clock: hostClock(),
  random: { fill: hostRandom },
  host: mailbox,
});
hypervisor.run();
mailbox.flush();
seed.port.close();
