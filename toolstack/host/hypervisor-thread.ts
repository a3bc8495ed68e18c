/** Main thread's side of the hypervisor's Worker: starts it, carries privcmd, notices its end. */

import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import type { PrivcmdChannel } from '../../dom0/privcmd.js';
import type { PrivcmdCall, PrivcmdMessage } from '../../hypervisor/public/privcmd.js';

/** What the Worker is given. */
export interface WorkerSeed {
  readonly memory: WebAssembly.Memory;
  /** Index 0 changes whenever something was sent. */
  readonly doorbell: Int32Array;
  readonly port: MessagePort;
}

export class HypervisorThread implements PrivcmdChannel {
  readonly #worker: Worker;
  readonly #port: MessagePort;
  readonly #doorbell = new Int32Array(new SharedArrayBuffer(4));
  readonly #ended: Promise<string>;

  /** @param memory RAM, shared with the Worker. */
  constructor(memory: WebAssembly.Memory) {
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    const workerData: WorkerSeed = { memory, doorbell: this.#doorbell, port: port2 };
    const url = new URL('./worker.mjs', import.meta.url);
    this.#worker = new Worker(url, { workerData, transferList: [port2], name: 'hypervisor' });
    this.#ended = new Promise((resolve) => {
      this.#worker.once('error', (error) => resolve(`crashed: ${describe(error)}`));
      this.#worker.once('exit', (code) => resolve(`ended with code ${code}`));
    });
  }

  /** Why the thread is no more, once it is not; "ended with code 0" if it was told to stop. */
  get ended(): Promise<string> {
    return this.#ended;
  }

  send(call: PrivcmdCall): void {
    this.#port.postMessage(call);
    Atomics.add(this.#doorbell, 0, 1);
    Atomics.notify(this.#doorbell, 0);
  }

  listen(receive: (message: PrivcmdMessage) => void): void {
    this.#port.on('message', receive);
  }

  /** Ends the thread however deep in a guest it is. */
  async terminate(): Promise<void> {
    await this.#worker.terminate();
    this.#port.close();
  }
}

const describe = (error: unknown): string =>
  error instanceof Error ? (error.stack ?? error.message) : String(error);
