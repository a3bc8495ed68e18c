/**
 * Debian as it comes: GRUB for Xen reads its menu from a disk, loads Debian's kernel and initrd from there, systemd brings the
 * system up to its login prompt, and work is done in it. Afterwards the file system has no fault.
 */

import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { DEBIAN_ROOT_TOOLS, makeDebianRoot } from '../support/debian-root.js';
import { testWithPeer } from '../support/peer.js';
import { eventually, startTestService, type TestService, uploadImage } from '../support/service.js';
import { Shell } from '../support/shell.js';

const GRUB = '/usr/lib/grub-xen/grub-x86_64-xen.bin';
const FSCK = '/usr/sbin/e2fsck';
const PEER = 'mmdebstrap e2fsprogs linux-image-amd64 grub-xen-host';
const LOGIN_MS = 900_000;
const COMMAND_MS = 300_000;

let service: TestService;
beforeAll(async () => {
  service = await startTestService({ memory: 1024 });
});
afterAll(() => service.close());

const HELLO_C = String.raw`#include <stdio.h>\nint main(void){double s=0;for(int i=1;i<=1000;i++)s+=1.0/i;printf("%.9f\\n",s);return 3;}\n`;
const CONTROL =
  'Package: xenolith-probe\\nVersion: 1\\nArchitecture: all\\nMaintainer: t\\nDescription: p\\n';

// biome-ignore format: one row per kind of work
const WORK: readonly (readonly [what: string, command: string, shows: string])[] = [
  ['init',          'ps -o comm= -p 1 || cat /proc/1/comm',                                               '\nsystemd\n'],
  ['mounts',        'findmnt -n -o SOURCE,FSTYPE / || grep " / " /proc/mounts',                           'ext4'],
  ['python3',       `python3 -c 'print(sum(n * n for n in range(1000)), 2 ** 100)'`,                      '\n332833500 1267650600228229401496703205376\n'],
  ['perl',          `perl -e 'print join(",", map { $_ ** 3 } 1 .. 9), "\\n"'`,                           '\n1,8,27,64,125,216,343,512,729\n'],
  ['gcc',           `printf %b '${HELLO_C}' > h.c && gcc -O2 -o h h.c && ./h`,                               '\n7.485470861\n<done 3>'],
  ['dpkg, listing', 'dpkg -l gcc libc6-dev python3-minimal | grep -c ^ii',                                '\n3\n'],
  ['dpkg, verify',  'dpkg --verify libc6 coreutils gcc-12 python3.11-minimal',                            '<done 0>'],
  ['dpkg, build',   `mkdir -p p/DEBIAN p/opt && printf '${CONTROL}' > p/DEBIAN/control && echo hi > p/opt/probe && dpkg-deb --build p`, '<done 0>'],
  ['dpkg, install', 'dpkg -i p.deb && cat /opt/probe',                                                    '\nhi\n<done 0>'],
  ['dpkg, remove',  'dpkg -r xenolith-probe && test ! -e /opt/probe',                                     '<done 0>'],
  ['apt, offline',  'apt-get check',                                                                      '<done 0>'],
];

describe('Debian on a disk', () => {
  testWithPeer(
    PEER,
    [GRUB, FSCK, ...DEBIAN_ROOT_TOOLS],
    'GRUB, kernel, init, login, work, power off; the file system is clean',
    async () => {
      const disks = join(service.folder, 'disks');
      mkdirSync(disks, { recursive: true });
      const image = join(disks, 'debian.img');
      makeDebianRoot(image);
      await uploadImage(service, 'grub', readFileSync(GRUB));
      const created = await service.request('POST', '/v1/domains', {
        name: 'debian',
        kernel: 'grub',
        memory: 640,
        disks: [{ vdev: 'xvda', target: 'debian.img' }],
      });
      expect(created.status, created.text).toBe(201);
      const shell = new Shell(service, 'debian', COMMAND_MS);
      await shell.shows(/Debian GNU\/Linux[\s\S]*xenolith login: /, LOGIN_MS);
      shell.type('root');
      await shell.shows(/root@xenolith:~# /, COMMAND_MS);
      for (const [what, command, shows] of WORK) {
        expect(await shell.run(command), what).toContain(shows);
      }
      shell.type('poweroff');
      await eventually(
        () => service.request('GET', `/v1/domains/${created.json.uuid}`),
        ({ status, json }) => status === 404 || json.state === 'ended',
        COMMAND_MS,
      );
      shell.socket.close();
      // -f: look at everything, -n: mend nothing; anything to mend is an exit status
      execFileSync(FSCK, ['-f', '-n', image], { stdio: 'pipe' });
      expect((await service.request('GET', '/v1/host')).json.faults).toBe(0);
    },
  );
});
