/** Where Debian keeps what tests boot: its kernel, its statically linked busybox, and modules of the kernel. */

import { existsSync, readdirSync } from 'node:fs';

export const BUSYBOX = '/bin/busybox';

/** The last of Debian's kernels in /boot; a name that does not exist if there is none. */
function newestKernel(): string {
  const boot = existsSync('/boot') ? readdirSync('/boot') : [];
  const names = boot.filter((name) => /^vmlinuz-6\.1\..*-amd64$/.test(name));
  return `/boot/${names.sort().at(-1) ?? 'vmlinuz-6.1-amd64'}`;
}

export const KERNEL = newestKernel();
/** The RAM disk that Debian made for that kernel. */
export const INITRD = KERNEL.replace('vmlinuz', 'initrd.img');

/** A module of that kernel: "drivers/net/xen-netfront". */
export const kernelModule = (name: string): string =>
  `${KERNEL.replace('/boot/vmlinuz-', '/lib/modules/')}/kernel/${name}.ko`;
