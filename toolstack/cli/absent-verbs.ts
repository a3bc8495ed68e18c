/** Verbs of Xen's xl that have no meaning here, or none yet: each is refused by name, with the reason. */

import type { Command } from 'commander';
import { UserError } from './client.js';

// biome-ignore format: one row per reason
const ABSENT: readonly (readonly [reason: string, verbs: readonly string[]])[] = [
  ['no hardware is passed through',                                            ['pci-attach', 'pci-detach', 'pci-list', 'pci-assignable-add', 'pci-assignable-remove', 'pci-assignable-list']],
  ['there is no USB',                                                          ['usbctrl-attach', 'usbctrl-detach', 'usbdev-attach', 'usbdev-detach', 'usb-list']],
  ['there is no backend for virtual TPMs',                                     ['vtpm-attach', 'vtpm-list', 'vtpm-detach']],
  ['there is no screen and no keyboard: the console is text',                  ['vkb-attach', 'vkb-list', 'vkb-detach', 'vdispl-attach', 'vdispl-list', 'vdispl-detach', 'vncviewer']],
  ['there is no sound',                                                        ['vsnd-attach', 'vsnd-list', 'vsnd-detach']],
  ['there is no backend for channels',                                         ['channel-list']],
  ['a PV domain has no drive to put a disk into: use block-attach and block-detach', ['cd-insert', 'cd-eject']],
  ['a PV domain has no ACPI: use shutdown',                                    ['button-press']],
  ['there is no device model',                                                 ['qemu-monitor-command']],
  ['there is no such hardware',                                                ['psr-hwinfo', 'psr-cmt-attach', 'psr-cmt-detach', 'psr-cmt-show', 'psr-cat-set', 'psr-cat-show', 'psr-mba-set', 'psr-mba-show']],
  ['there are no security labels',                                             ['getenforce', 'setenforce', 'loadpolicy']],
  ['there is one pool of CPUs, and it stays as it is: cpupool-list shows it',  ['cpupool-create', 'cpupool-destroy', 'cpupool-rename', 'cpupool-cpu-add', 'cpupool-cpu-remove', 'cpupool-migrate', 'cpupool-numa-split']],
  ['the scheduler is like credit2: use sched-credit2',                         ['sched-credit', 'sched-rtds']],
  ['domains do not go from one service to another: use save here and restore there', ['migrate', 'migrate-receive', 'remus']],
  ['memory is not claimed before a domain is built',                           ['claims']],
  ['pages are shared only until they are written to: xenolith_host_memory_shared_bytes of /metrics says how much', ['sharing']],
  ['the hypervisor has no parameters that can be set',                         ['set-parameters']],
  ['all backends are in the service',                                          ['devd']],
];

export function addAbsentVerbs(xl: Command): void {
  for (const [reason, verbs] of ABSENT) {
    for (const verb of verbs) {
      xl.command(verb, { hidden: true })
        .description(`not here: ${reason}`)
        .allowUnknownOption()
        .allowExcessArguments()
        .action(() => {
          throw new UserError(`${verb} is not possible here: ${reason}`);
        });
    }
  }
}
