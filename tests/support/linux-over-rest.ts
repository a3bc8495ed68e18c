/** Debian's kernel as an operator starts it: over REST, with a RAM disk of busybox, spoken to over the console WebSocket. */

import { readFileSync } from 'node:fs';
import type { DomainCreateInput } from '../../toolstack/schemas/domain.js';
import { BUSYBOX, KERNEL } from './debian.js';
import { initramfs } from './initramfs.js';
import { type TestService, TestSocket } from './service.js';

/** What `/bin/sh` of the RAM disk asks with. */
const PROMPT = '/ # ';

/** Uploads kernel and RAM disk under the names linux and initramfs. */
export async function uploadLinux(service: TestService, init?: string): Promise<void> {
  const files = {
    linux: readFileSync(KERNEL),
    initramfs: initramfs(readFileSync(BUSYBOX), init),
  };
  for (const [name, bytes] of Object.entries(files)) {
    const body = new Uint8Array(bytes);
    const { status } = await fetch(`${service.url}/v1/images/${name}`, { method: 'PUT', body });
    if (status >= 300) throw new Error(`upload of ${name}: ${status}`);
  }
}

export class LinuxGuest {
  readonly name: string;
  readonly terminal: TestSocket;
  readonly #service: TestService;

  constructor(service: TestService, name: string) {
    this.#service = service;
    this.name = name;
    this.terminal = new TestSocket(`${service.url}/v1/domains/${name}/console`);
  }

  /** Creates the domain. @throws Error with the problem if it is refused. */
  static async create(
    service: TestService,
    config: Partial<DomainCreateInput> & { readonly name: string },
  ): Promise<LinuxGuest> {
    const body = {
      kernel: 'linux',
      ramdisk: 'initramfs',
      cmdline: 'console=hvc0',
      memory: 256,
      ...config,
    };
    const answer = await service.request('POST', '/v1/domains', body);
    if (answer.status !== 201) throw new Error(answer.text);
    return new LinuxGuest(service, config.name);
  }

  /** Everything it has printed, without carriage returns. */
  get output(): string {
    return this.terminal.output().replaceAll('\r', '');
  }

  prompt(timeoutMs = 240_000): Promise<void> {
    return this.terminal.shows(PROMPT, timeoutMs);
  }

  /** What a command prints. @throws Error if it does not end in time. */
  async run(command: string, timeoutMs = 240_000): Promise<string> {
    const from = this.output.length;
    this.terminal.send(`${command}; echo "<done $?>"\r`);
    await this.terminal.until(
      () => /\n<done \d+>\n/.test(this.output.slice(from)),
      `end of ${command}`,
      timeoutMs,
    );
    return this.output.slice(from);
  }

  async facts(): Promise<{ readonly state: string; readonly cpuSeconds: number }> {
    return (await this.#service.request('GET', `/v1/domains/${this.name}`)).json;
  }

  async destroy(): Promise<void> {
    this.terminal.close();
    await this.#service.request('DELETE', `/v1/domains/${this.name}`);
  }
}
