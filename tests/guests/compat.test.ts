/** 32-bit programs on Debian's 64-bit kernel: one that a compiler here makes, and what it says of compatibility mode. */

import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect } from 'vitest';
import { unpack } from '../../toolstack/domains/unpack.js';
import { BUSYBOX, KERNEL } from '../support/debian.js';
import { Harness } from '../support/hypervisor-harness.js';
import { initramfs } from '../support/initramfs.js';
import { testWithPeer } from '../support/peer.js';
import { StoreHost } from './store-host.js';

const MIB = 1024 * 1024;
const MEMORY_PAGES = 256 * 256;
const RUN_MS = 240_000;
const SOURCE = fileURLToPath(new URL('programs/compat.c', import.meta.url));
/** What `gcc -m32 -static` needs: libc6-dev-i386, which gcc-multilib brings. */
const LIBC = '/usr/lib32/libc.a';

const INIT = `#!/bin/sh
mount -t proc proc /proc
mount -t devtmpfs dev /dev
compat
poweroff -f
`;

function build(): Uint8Array {
  const binary = join(mkdtempSync(join(tmpdir(), 'xenolith-compat-')), 'compat');
  const flags = ['-m32', '-static', '-O1', '-msse2', '-pthread'];
  const { status, stderr } = spawnSync('gcc', [...flags, '-o', binary, SOURCE]);
  if (status !== 0 || !existsSync(binary)) throw new Error(`gcc: ${stderr}`);
  return readFileSync(binary);
}

describe('compatibility mode', () => {
  testWithPeer(
    'linux-image-amd64 busybox-static gcc-multilib',
    [KERNEL, BUSYBOX, LIBC],
    'a 32-bit program finds its signals, system calls, threads, segments and arithmetic',
    async () => {
      const harness = new Harness({ memory: 256 + 64 });
      const store = new StoreHost(harness);
      const guest = harness.create(await unpack(readFileSync(KERNEL), 128 * MIB), {
        memoryPages: MEMORY_PAGES,
        cmdline: 'console=hvc0 quiet',
        ramdisk: initramfs(readFileSync(BUSYBOX), INIT, { 'bin/compat': build() }),
        paused: true,
      });
      await store.attach(guest, 'linux');
      harness.call('unpausedomain', { domid: guest.domid });
      const finished = harness.runUntil(() => {
        store.turn();
        return /COMPAT-VERDICT \w+ \d+/.test(guest.output);
      }, RUN_MS);
      expect(finished, guest.output).toBe(true);
      expect(guest.output).toContain('COMPAT-VERDICT success');
      expect(guest.ends()).toBe(true);
      expect(guest.info.shutdownReason).toBe('poweroff');
      expect(harness.bugs).toBe(0);
    },
  );
});
