/** The service as a process of its own, as `npm start` runs it: on a port that is free, in a folder that outlives it; to be killed. */

import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '../..');
const START_MS = 120_000;

export class ServiceProcess {
  readonly url: string;
  readonly #child: ChildProcess;
  readonly #exit: Promise<NodeJS.Signals | number | null>;

  private constructor(url: string, child: ChildProcess) {
    this.url = url;
    this.#child = child;
    this.#exit = exitOf(child);
  }

  /** @param folder holds all that it keeps: images, disks. @throws Error with what it said if it does not come up. */
  static async start(folder: string, memory: number): Promise<ServiceProcess> {
    const options = {
      port: '0',
      memory: String(memory),
      state: join(folder, 'state'),
      uploads: join(folder, 'images'),
      cache: join(folder, 'cache'),
      disks: join(folder, 'disks'),
      'store-socket': 'none',
      demo: 'none',
    };
    const words = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]);
    const child = spawn(
      process.execPath,
      ['--import', 'tsx', join(ROOT, 'toolstack/main.ts'), ...words],
      { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] },
    );
    try {
      return new ServiceProcess(await urlOf(child), child);
    } catch (error) {
      child.kill('SIGKILL');
      throw error;
    }
  }

  /** SIGTERM, as who supervises it would end it. @returns its exit code, once it is gone. */
  stop(): Promise<NodeJS.Signals | number | null> {
    this.#child.kill('SIGTERM');
    return this.#exit;
  }

  /** SIGKILL, whatever it is doing. @returns what ended it, once it is gone. */
  kill(): Promise<NodeJS.Signals | number | null> {
    this.#child.kill('SIGKILL');
    return this.#exit;
  }
}

function exitOf(child: ChildProcess): Promise<NodeJS.Signals | number | null> {
  return new Promise((resolve) => child.once('close', (code, signal) => resolve(signal ?? code)));
}

/** Where it says that its API is. */
function urlOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let said = '';
    const give = (): void => reject(new Error(`the service did not come up: ${said}`));
    const timer = setTimeout(give, START_MS);
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (bytes: Buffer) => {
        said += bytes;
        const url = /API +(http:\S+?)\/v1/.exec(said)?.[1];
        if (url === undefined) return;
        clearTimeout(timer);
        resolve(url);
      });
    }
    child.once('close', () => {
      clearTimeout(timer);
      give();
    });
  });
}
