/** Debian's kernel as an operator starts it: over REST, with a RAM disk of busybox, spoken to over the console WebSocket. */

import { readFileSync } from 'node:fs';
import type { DomainCreateInput } from '../../toolstack/schemas/domain.js';
import { BUSYBOX, KERNEL } from './debian.js';
import { initramfs } from './initramfs.js';
import { type TestService, uploadImage } from './service.js';
import { Shell } from './shell.js';

/** What `/bin/sh` of the RAM disk asks with. */
const PROMPT = /\/ # /;
/** For a boot, and for a command. */
const PATIENCE_MS = 240_000;

/** Uploads kernel and RAM disk under the names linux and initramfs. */
export async function uploadLinux(service: TestService): Promise<void> {
  await uploadImage(service, 'linux', readFileSync(KERNEL));
  await uploadImage(service, 'initramfs', initramfs(readFileSync(BUSYBOX)));
}

export class LinuxDomain extends Shell {
  readonly name: string;
  readonly #service: TestService;

  private constructor(service: TestService, name: string) {
    super(service, name, PATIENCE_MS);
    this.#service = service;
    this.name = name;
  }

  /** Creates the domain. @throws Error with the problem if it is refused. */
  static async create(
    service: TestService,
    config: Partial<DomainCreateInput> & { readonly name: string },
  ): Promise<LinuxDomain> {
    const body = {
      kernel: 'linux',
      ramdisk: 'initramfs',
      cmdline: 'console=hvc0',
      memory: 256,
      ...config,
    };
    const answer = await service.request('POST', '/v1/domains', body);
    if (answer.status !== 201) throw new Error(answer.text);
    return new LinuxDomain(service, config.name);
  }

  prompt(): Promise<void> {
    return this.shows(PROMPT, PATIENCE_MS);
  }

  async destroy(): Promise<void> {
    this.socket.close();
    await this.#service.request('DELETE', `/v1/domains/${this.name}`);
  }
}
