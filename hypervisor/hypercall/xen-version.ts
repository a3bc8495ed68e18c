/** xen_version (17): who this hypervisor is and what it offers. Spec: version.h, features.h; xen-abi §1.7. */

import type { VirtAddr } from '../machine/types.js';
import { MACH2PHYS_VIRT_START } from '../public/arch-x86.js';
import { ERRNO } from '../public/errno.js';
import * as abi from '../public/version.js';
import { VMASST } from '../public/xen.js';
import type { Hypercall } from './hypercall.js';

const { XENVER, XENFEAT } = abi;
const EFAULT = -ERRNO.EFAULT;

/** Version of Xen whose interface this is. */
export const XEN_VERSION = [4, 17] as const;
const [MAJOR, MINOR] = XEN_VERSION;
/** What a guest sees as extra version; with the above "4.17.0-xenolith". */
const EXTRAVERSION = '.0-xenolith';
export const XEN_VERSION_TEXT = `${MAJOR}.${MINOR}${EXTRAVERSION}`;
const CAPABILITIES = 'xen-3.0-x86_64 ';
/** What an unprivileged domain gets to read instead of the command line. */
const DENIED = '<denied>';
/** Bytes of xen_domain_handle_t. */
const HANDLE_SIZE = 16;

type Operation = (call: Hypercall, arg: VirtAddr | undefined) => number;

// biome-ignore format: one row per operation
const OPERATIONS: Readonly<Record<number, Operation>> = {
  [XENVER.VERSION]:             () => (MAJOR << 16) | MINOR,
  [XENVER.EXTRAVERSION]:        (call, arg) => text(call, arg, EXTRAVERSION, abi.XEN_EXTRAVERSION_LEN),
  [XENVER.COMPILE_INFO]:        compileInfo,
  [XENVER.CAPABILITIES]:        (call, arg) => text(call, arg, CAPABILITIES, abi.XEN_CAPABILITIES_INFO_LEN),
  [XENVER.CHANGESET]:           (call, arg) => text(call, arg, 'unavailable', abi.XEN_CHANGESET_INFO_LEN),
  [XENVER.PLATFORM_PARAMETERS]: platformParameters,
  [XENVER.GET_FEATURES]:        getFeatures,
  [XENVER.PAGESIZE]:            (call, arg) => (arg === 0 ? 4096 : call.refuse(-ERRNO.EINVAL, 'XENVER_pagesize takes no pointer')),
  [XENVER.GUEST_HANDLE]:        guestHandle,
  [XENVER.COMMANDLINE]:         (call, arg) => text(call, arg, call.domain.isPrivileged ? '' : DENIED, abi.XEN_COMMANDLINE_LEN),
  [XENVER.BUILD_ID]:            buildId,
};

export function xenVersion(call: Hypercall): number {
  const cmd = call.argLo(0);
  // Also the guest's way to have pending events delivered: it must be fast.
  if (cmd === XENVER.VERSION) return (MAJOR << 16) | MINOR;
  const operation = OPERATIONS[cmd];
  return operation ? operation(call, call.argAddress(1)) : call.missing(`xen_version(${cmd})`);
}

function buildId(call: Hypercall): number {
  if (call.domain.isPrivileged) return call.refuse(-ERRNO.ENODATA, 'there is no build id');
  return call.refuse(
    -ERRNO.EPERM,
    'the build id is not for d%d, which is not privileged',
    call.domain.id,
  );
}

/** Text padded with zeros. */
function padded(value: string, size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  new TextEncoder().encodeInto(value, bytes.subarray(0, size - 1));
  return bytes;
}

function text(call: Hypercall, arg: VirtAddr | undefined, value: string, size: number): number {
  return call.guest.copyTo(arg, padded(value, size)) ? 0 : EFAULT;
}

function compileInfo(call: Hypercall, arg: VirtAddr | undefined): number {
  const { size, offset } = abi.xenCompileInfo;
  const image = new Uint8Array(size);
  image.set(padded('tsc', offset.compileBy), offset.compiler);
  image.set(padded('xenolith', 16), offset.compileBy);
  return call.guest.copyTo(arg, image) ? 0 : EFAULT;
}

function platformParameters(call: Hypercall, arg: VirtAddr | undefined): number {
  const virtStart = BigInt.asUintN(64, BigInt(MACH2PHYS_VIRT_START));
  return call.guest.encode(abi.xenPlatformParameters, arg, { virtStart }) ? 0 : EFAULT;
}

const bit = (feature: number) => 1 << feature;
const FEATURES =
  bit(XENFEAT.MMU_PT_UPDATE_PRESERVE_AD) |
  bit(XENFEAT.HIGHMEM_ASSIST) |
  bit(XENFEAT.GNTTAB_MAP_AVAIL_BITS) |
  bit(XENFEAT.MEMORY_OP_VNODE_SUPPORTED) |
  bit(XENFEAT.DIRECT_MAPPED);

function getFeatures(call: Hypercall, arg: VirtAddr | undefined): number {
  const input = call.guest.decode(abi.xenFeatureInfo, arg);
  if (!input) return EFAULT;
  if (input.submapIdx >= abi.XENFEAT_NR_SUBMAPS) {
    const rule = 'there are %d submaps of features, none is %d';
    return call.refuse(-ERRNO.EINVAL, rule, abi.XENFEAT_NR_SUBMAPS, input.submapIdx);
  }
  const extendedCr3 = (call.pv.vmAssist & bit(VMASST.TYPE_PAE_EXTENDED_CR3)) !== 0;
  const submap =
    FEATURES |
    (extendedCr3 ? bit(XENFEAT.PAE_PGDIR_ABOVE_4GB) : 0) |
    (call.domain.isPrivileged ? bit(XENFEAT.DOM0) : 0);
  return call.guest.encode(abi.xenFeatureInfo, arg, { submap }) ? 0 : EFAULT;
}

function guestHandle(call: Hypercall, arg: VirtAddr | undefined): number {
  const digits = call.domain.handle.replaceAll('-', '');
  const handle = Uint8Array.from({ length: HANDLE_SIZE }, (_, n) =>
    Number.parseInt(digits.slice(n * 2, n * 2 + 2), 16),
  );
  return call.guest.copyTo(arg, handle) ? 0 : EFAULT;
}
