/** A root file system for Linux in memory: Debian's busybox, its applets as links, and an init that ends in a shell. */

import { CPIO, type CpioEntry, cpio } from './cpio.js';

/** Applets that get a link; `busybox NAME` runs all the others. */
const APPLETS =
  'sh mount umount cat ls echo dmesg ps uname sleep sha256sum gzip gunzip awk seq dd head tail wc grep sort poweroff reboot free nproc date kill true false mkdir test expr cmp'.split(
    ' ',
  );

const INIT = `#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
echo XENOLITH-INIT $(cat /proc/uptime)
exec setsid -c sh
`;

const directory = (name: string): CpioEntry => ({ name, mode: CPIO.DIRECTORY | 0o755 });
const program = (name: string, data: Uint8Array | string): CpioEntry => ({
  name,
  mode: CPIO.FILE | 0o755,
  data,
});

/**
 * The archive, to be given as a ramdisk.
 * @param busybox the statically linked program.
 * @param init a script to run instead of the usual one.
 * @param files programs and other files to add, in folders there are.
 */
export function initramfs(
  busybox: Uint8Array,
  init: string = INIT,
  files: Readonly<Record<string, Uint8Array | string>> = {},
): Uint8Array {
  return cpio([
    ...['bin', 'dev', 'proc', 'sys', 'tmp', 'etc'].map(directory),
    { name: 'dev/console', mode: CPIO.CHAR_DEVICE | 0o600, device: [5, 1] },
    program('bin/busybox', busybox),
    ...[...APPLETS, 'setsid'].map((applet) => ({
      name: `bin/${applet}`,
      mode: CPIO.LINK | 0o777,
      data: 'busybox',
    })),
    program('init', init),
    ...Object.entries(files).map(([name, data]) => program(name, data)),
  ]);
}
