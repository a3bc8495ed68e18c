/** Debian's kernel as a guest of tests, with a root file system whose init loads modules. */

import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { unpack } from '../../toolstack/domains/unpack.js';
import { BUSYBOX, KERNEL, kernelModule } from './debian.js';
import { initramfs } from './initramfs.js';

const MIB = 1024 * 1024;

/** Sets what DHCP has given: for busybox's udhcpc. */
const DHCP_SCRIPT = `#!/bin/sh
[ "$1" = bound ] || exit 0
busybox ifconfig $interface $ip netmask $subnet
busybox route add default gw $router
echo nameserver $dns > /etc/resolv.conf
`;

/**
 * A root file system whose init loads the modules in that order.
 * @param programs files to add, in folders there are.
 */
export function debianRamdisk(
  modules: readonly string[],
  programs: Readonly<Record<string, string>> = {},
): Uint8Array {
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
  const scripts = { 'bin/dhcp': DHCP_SCRIPT, ...programs };
  return initramfs(readFileSync(BUSYBOX), init, { ...scripts, ...Object.fromEntries(files) });
}

/** The kernel as the hypervisor takes it, and its root file system. */
export async function debianLinux(
  modules: readonly string[],
): Promise<{ kernel: Uint8Array; ramdisk: Uint8Array }> {
  const kernel = await unpack(readFileSync(KERNEL), 128 * MIB);
  return { kernel, ramdisk: debianRamdisk(modules) };
}
