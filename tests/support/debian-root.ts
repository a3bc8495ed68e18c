/**
 * A Debian 12 system on an ext4 image, as an administrator makes one: mmdebstrap, a kernel of the host's, GRUB's menu.
 * It takes a minute and the network; `XENOLITH_DEBIAN_ROOT` names an image to use instead.
 */

import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { INITRD, KERNEL } from './debian.js';

/** What is in it besides the essential packages: an init, and what its tests work with. */
const PACKAGES = [
  'systemd-sysv',
  'udev',
  'login',
  'iproute2',
  'kmod',
  'python3-minimal',
  'perl-base',
  'gcc',
  'libc6-dev',
];
/** Room for the system and half as much again; the file is sparse. */
const IMAGE_BYTES = 1024 * 1024 * 1024;

/** Names of what such an image is made with: the peers of its tests. */
export const DEBIAN_ROOT_TOOLS = ['/usr/bin/mmdebstrap', '/usr/sbin/mke2fs', KERNEL, INITRD];

/** Makes the image, or takes the one that `XENOLITH_DEBIAN_ROOT` names. The file is sparse. */
export function makeDebianRoot(path: string): void {
  const known = process.env['XENOLITH_DEBIAN_ROOT'];
  if (known !== undefined) {
    run('cp', '--sparse=always', known, path);
    return;
  }
  const folder = mkdtempSync(join(tmpdir(), 'xenolith-debian-'));
  try {
    const root = join(folder, 'root');
    const include = `--include=${PACKAGES.join(',')}`;
    run('mmdebstrap', '--variant=minbase', include, 'bookworm', root);
    configure(root);
    run('mke2fs', '-q', '-t', 'ext4', '-L', 'root', '-d', root, path, `${IMAGE_BYTES / 1024}k`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function run(program: string, ...args: string[]): void {
  execFileSync(program, args, { stdio: ['ignore', 'ignore', 'pipe'], maxBuffer: 1 << 26 });
}

const MENU = `set timeout=2
menuentry "Debian GNU/Linux" {
  linux /boot/vmlinuz root=/dev/xvda console=hvc0 quiet
  initrd /boot/initrd.img
}
`;

function configure(root: string): void {
  writeFileSync(join(root, 'etc/fstab'), '/dev/xvda / ext4 errors=remount-ro 0 1\n');
  writeFileSync(join(root, 'etc/hostname'), 'xenolith\n');
  mkdirSync(join(root, 'boot/grub'), { recursive: true });
  writeFileSync(join(root, 'boot/grub/grub.cfg'), MENU);
  copyFileSync(KERNEL, join(root, 'boot/vmlinuz'));
  copyFileSync(INITRD, join(root, 'boot/initrd.img'));
  run('chroot', root, 'passwd', '--delete', 'root');
}
