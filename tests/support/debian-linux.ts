/** Debian's kernel as a guest of tests: where it and its modules lie, and a root file system that loads them. */

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { unpack } from '../../toolstack/domains/unpack.js';
import { initramfs } from './initramfs.js';

const MIB = 1024 * 1024;
export const BUSYBOX = '/bin/busybox';

/** The last of Debian's kernels in /boot; a name that does not exist if there is none. */
export const KERNEL = newestKernel();

function newestKernel(): string {
  const boot = existsSync('/boot') ? readdirSync('/boot') : [];
  const names = boot.filter((name) => /^vmlinuz-6\.1\..*-amd64$/.test(name));
  return `/boot/${names.sort().at(-1) ?? 'vmlinuz-6.1-amd64'}`;
}

const release = basename(KERNEL).replace('vmlinuz-', '');

/** Where a module lies: "drivers/block/xen-blkfront". */
export const modulePath = (name: string): string => `/lib/modules/${release}/kernel/${name}.ko`;

/** The kernel as the hypervisor takes it, and a root file system whose init loads the modules in that order. */
export async function debianLinux(
  modules: readonly string[],
): Promise<{ kernel: Uint8Array; ramdisk: Uint8Array }> {
  const files = modules.map((name): [string, Uint8Array] => [
    `tmp/${basename(name)}.ko`,
    readFileSync(modulePath(name)),
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
