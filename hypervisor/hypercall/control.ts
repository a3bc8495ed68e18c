/** Calls that only a control domain may make. dom0 is the main thread and uses privcmd, so no guest may. Spec: xen-abi §1.2. */

import { ERRNO } from '../public/errno.js';
import { hypercallName } from '../public/hypercalls.js';
import type { Handler } from './hypercall.js';

/** platform_op, sysctl, domctl, kexec_op, hypfs_op, mca: -EPERM as on Xen. */
export const controlOnly: Handler = (call) =>
  call.domain.isPrivileged
    ? call.missing(hypercallName(call.number))
    : call.refuse(
        -ERRNO.EPERM,
        '%s is for the control domain: d%d is not privileged',
        hypercallName(call.number),
        call.domain.id,
      );

/** xenpmu_op: there are no performance counters to virtualise. */
export const noPerformanceCounters: Handler = (call) =>
  call.refuse(-ERRNO.EOPNOTSUPP, 'there are no performance counters to virtualise');
