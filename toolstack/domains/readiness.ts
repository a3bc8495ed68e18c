/** Whether the service can take work: its parts answer, and it is not about to stop. */

import type { Privcmd } from '../../dom0/privcmd.js';
import type { Readiness as State } from '../schemas/health.js';
import type { StoreTree } from './store-tree.js';

/** The hypervisor answers between two slices of its guests: later than this it hangs. */
const PATIENCE_MS = 2000;

export class Readiness {
  readonly #privcmd: Privcmd;
  readonly #store: StoreTree;
  #stopping = false;

  constructor(privcmd: Privcmd, store: StoreTree) {
    this.#privcmd = privcmd;
    this.#store = store;
  }

  /** From now on it is not ready: the service ends what it has begun, and begins nothing. */
  stop(): void {
    this.#stopping = true;
  }

  get isStopping(): boolean {
    return this.#stopping;
  }

  async check(): Promise<State> {
    const checks = {
      service: this.#stopping ? 'stopping' : 'ok',
      hypervisor: await this.#askHypervisor(),
      xenstore: this.#readStore(),
    };
    return { ready: Object.values(checks).every((result) => result === 'ok'), checks };
  }

  async #askHypervisor(): Promise<string> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<string>((resolve) => {
      timer = setTimeout(resolve, PATIENCE_MS, `no answer within ${PATIENCE_MS} ms`);
    });
    const answer = this.#privcmd.call('physinfo', {}).then(() => 'ok', inWords);
    return Promise.race([answer, late]).finally(() => clearTimeout(timer));
  }

  #readStore(): string {
    try {
      this.#store.read('/', 0);
      return 'ok';
    } catch (error) {
      return inWords(error);
    }
  }
}

const inWords = (error: unknown): string => (error instanceof Error ? error.message : 'failed');
