/** Main thread's side of the hypervisor's Worker: starts it, carries privcmd, notices its end. */

import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import type { PrivcmdChannel, SharedMemory } from '../../dom0/privcmd.js';
import { Ram } from '../../hypervisor/machine/ram.js';
import type { PrivcmdCall, PrivcmdMessage } from '../../hypervisor/public/privcmd.js';

/** What the Worker is given. */
export interface WorkerSeed {
  readonly memory: WebAssembly.Memory;
  /** Index 0 changes whenever something was sent. */
  readonly doorbell: Int32Array;
  /** dom0's bounce buffer. */
  readonly bounce: Uint8Array;
  readonly port: MessagePort;
}

/** The machine with its hypervisor, as the service needs it. */
export interface Machine extends PrivcmdChannel, SharedMemory {
  /** Resolves when the hypervisor is no more, with the reason. */
  readonly ended: Promise<string>;
  terminate(): Promise<void>;
}

const MIB = 1024 * 1024;
/** A ring full of large requests of several disks at once. */
const BOUNCE_BYTES = 32 * MIB;

export class HypervisorThread implements Machine {
  readonly ram: Uint8Array;
  readonly bounce = new Uint8Array(new SharedArrayBuffer(BOUNCE_BYTES));
  readonly ended: Promise<string>;
  readonly #worker: Worker;
  readonly #port: MessagePort;
  readonly #doorbell = new Int32Array(new SharedArrayBuffer(4));
  #calls: PrivcmdCall[] = [];

  /** @param memory MiB of RAM for guests. */
  constructor(memory: number) {
    const ram = Ram.allocate(memory * MIB);
    this.ram = ram.u8;
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    const { memory: guestMemory } = ram;
    const doorbell = this.#doorbell;
    const workerData: WorkerSeed = {
      memory: guestMemory,
      doorbell,
      bounce: this.bounce,
      port: port2,
    };
    const url = new URL('./worker.mjs', import.meta.url);
    this.#worker = new Worker(url, { workerData, transferList: [port2], name: 'hypervisor' });
    this.ended = new Promise((resolve) => {
      this.#worker.once('error', (error) => resolve(`crashed: ${describe(error)}`));
      this.#worker.once('exit', (code) => resolve(`ended with code ${code}`));
    });
  }

  /** Calls made in one turn travel as one message: posting and waking cost more than most calls do. */
  send(call: PrivcmdCall): void {
    if (this.#calls.length === 0) queueMicrotask(() => this.#flush());
    this.#calls.push(call);
  }

  listen(receive: (message: PrivcmdMessage) => void): void {
    this.#port.on('message', (messages: readonly PrivcmdMessage[]) => {
      for (const message of messages) receive(message);
    });
  }

  #flush(): void {
    this.#port.postMessage(this.#calls);
    this.#calls = [];
    Atomics.add(this.#doorbell, 0, 1);
    Atomics.notify(this.#doorbell, 0);
  }

  /** Ends the thread, however deep in a guest it is. */
  async terminate(): Promise<void> {
    await this.#worker.terminate();
    this.#port.close();
  }
}

const describe = (error: unknown): string =>
  error instanceof Error ? (error.stack ?? error.message) : String(error);
