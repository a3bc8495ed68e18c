/**
 * The XenStore nodes that a new guest finds, and who may write them.
 * Spec: xenstore-paths(7); permissions as libxl sets them: the toolstack's nodes can be read by the guest, a few are its own.
 */

import { CONSOLE_NODES } from '../hypervisor/public/io/console.js';
import { CONTROL_NODES } from '../hypervisor/public/io/xenbus.js';
import type { Permission } from '../xenstore/protocol/permissions.js';

export interface GuestFacts {
  readonly domid: number;
  readonly uuid: string;
  readonly name: string;
  readonly memoryKib: number;
  readonly maxMemoryKib: number;
  readonly vcpus: number;
  readonly maxVcpus: number;
  readonly storeMfn: number;
  readonly storePort: number;
  readonly consoleMfn: number;
  readonly consolePort: number;
  readonly consoleLimit: number;
}

export interface GuestNode {
  readonly path: string;
  readonly value: string;
  /** Permissions to be set; those of the parent are inherited where there are none. */
  readonly perms?: readonly Permission[];
}

export const domainPath = (domid: number): string => `/local/domain/${domid}`;
const vmPath = (uuid: string): string => `/vm/${uuid}`;
const libxlPath = (domid: number): string => `/libxl/${domid}`;

/** Trees that go with the domain. */
export const guestTrees = ({ domid, uuid }: Pick<GuestFacts, 'domid' | 'uuid'>): string[] => [
  domainPath(domid),
  vmPath(uuid),
  libxlPath(domid),
];

/** In the order in which they are to be written: a directory whose permissions children inherit before them. */
export function guestNodes(facts: GuestFacts): GuestNode[] {
  const { domid, uuid } = facts;
  const home = domainPath(domid);
  const vm = vmPath(uuid);
  const hidden: Permission[] = [{ access: 'n', domid: 0 }];
  const readable: Permission[] = [...hidden, { access: 'r', domid }];
  const own: Permission[] = [{ access: 'n', domid }];
  // biome-ignore format: one row per node
  const nodes: (readonly [path: string, value: string, perms?: Permission[]])[] = [
    [home,                                               '', readable],
    [`${home}/name`,                                     facts.name],
    [`${home}/domid`,                                    String(domid)],
    [`${home}/vm`,                                       vm],
    [`${home}/memory/static-max`,                        String(facts.maxMemoryKib)],
    [`${home}/memory/target`,                            String(facts.memoryKib)],
    [`${home}/memory/videoram`,                          '0'],
    [`${home}/${CONSOLE_NODES.RING_REF}`,                String(facts.consoleMfn)],
    [`${home}/${CONSOLE_NODES.PORT}`,                    String(facts.consolePort)],
    [`${home}/${CONSOLE_NODES.TYPE}`,                    'xenconsoled'],
    [`${home}/${CONSOLE_NODES.OUTPUT}`,                  'pty'],
    [`${home}/${CONSOLE_NODES.LIMIT}`,                   String(facts.consoleLimit)],
    [`${home}/${CONSOLE_NODES.TTY}`,                     `/v1/domains/${domid}/console`],
    [`${home}/store/ring-ref`,                           String(facts.storeMfn)],
    [`${home}/store/port`,                               String(facts.storePort)],
    [`${home}/device`,                                   ''],
    [`${home}/${CONTROL_NODES.MULTIPROCESSOR_SUSPEND}`,  '1'],
    [`${home}/${CONTROL_NODES.RESET_WATCHES}`,           '1'],
    [`${home}/${CONTROL_NODES.SHUTDOWN}`,                '', own],
    [`${home}/${CONTROL_NODES.SYSRQ}`,                   '', own],
    [`${home}/control/feature-poweroff`,                 '', own],
    [`${home}/control/feature-reboot`,                   '', own],
    [`${home}/control/feature-suspend`,                  '', own],
    [`${home}/data`,                                     '', own],
    [`${home}/drivers`,                                  '', own],
    [`${home}/attr`,                                     '', own],
    [`${home}/error`,                                    '', own],
    [`${home}/device/suspend/event-channel`,             '', own],
    [vm,                                                 '', readable],
    [`${vm}/name`,                                       facts.name],
    [`${vm}/uuid`,                                       uuid],
    [libxlPath(domid),                                   '', hidden],
    [`${libxlPath(domid)}/type`,                         'pv'],
  ];
  const cpus = Array.from(
    { length: facts.maxVcpus },
    (_, cpu): GuestNode => ({
      path: `${home}/cpu/${cpu}/availability`,
      value: cpu < facts.vcpus ? 'online' : 'offline',
    }),
  );
  return [
    ...nodes.map(([path, value, perms]) => ({ path, value, ...(perms && { perms }) })),
    ...cpus,
  ];
}
