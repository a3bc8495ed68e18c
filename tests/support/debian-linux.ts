/** Debian's kernel as a guest of tests, with a root file system whose init loads modules. */

import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { unpack } from '../../toolstack/domains/unpack.js';
import { BUSYBOX, KERNEL, kernelModule } from './debian.js';
import { initramfs } from './initramfs.js';

const MIB = 1024 * 1024;

/** The kernel as the hypervisor takes it, and a root file system whose init loads the modules in that order. */
export async function debianLinux(
  modules: readonly string[],
): Promise<{ kernel: Uint8Array; ramdisk: Uint8Array }> {
  const files = modules.map((name): [string, Uint8Array] => [
    `tmp/${basename(name)}.ko`,
    readFileSync(kernelModule(name)),
  ]);
  const init = [
    '#!/bin/sh',
    'mount -t proc proc /proc',
    'mount -t sysfs sysfs /sys',
    'mount -t devtmpfs dev /dev',
    ...modules.map((name) => `busybox insmod /tmp/${basename(name)}.ko || echo NO ${name}`),
    'echo XENOLITH-INIT $(cat /proc/uptime)',
    'exec setsid -c sh',
    '',
  ].join('\n');
  return {
    kernel: await unpack(readFileSync(KERNEL), 128 * MIB),
    ramdisk: initramfs(readFileSync(BUSYBOX), init, Object.fromEntries(files)),
  };
}
