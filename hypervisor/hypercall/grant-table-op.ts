/** grant_table_op (20): map, unmap, copy and transfer what other domains grant, and the table's own set-up. Spec: grant_table.h; xen-abi §2.2. */

import type { Domain } from '../common/domain.js';
import { asVirtAddr, fromU64, type Mfn, type VirtAddr } from '../machine/types.js';
import { ERRNO } from '../public/errno.js';
import * as abi from '../public/grant-table.js';
import { copyGrant } from './grant-copy.js';
import { mapGrantRef, unmapAndReplace, unmapGrantRef } from './grant-map.js';
import { transferPage } from './grant-transfer.js';
import { type Hypercall, PREEMPTED } from './hypercall.js';

const { GNTTABOP, GNTST } = abi;
const EFAULT = -ERRNO.EFAULT;
/** Array elements between two looks at whether to preempt. */
const BATCH = 32;

/** Handles one element of the array. @returns 0, its status being in the struct, or a negated errno that ends the call. */
type Element = (call: Hypercall, at: VirtAddr) => number;

interface Operation {
  readonly size: number;
  readonly run: Element;
  /** Takes exactly one element. */
  readonly single?: boolean;
}

const ARRAY = { size: 0 } as const;
const { gnttabMapGrantRef, gnttabUnmapGrantRef, gnttabUnmapAndReplace, gnttabCopy } = abi;

// biome-ignore format: one row per operation
const OPERATIONS: Readonly<Record<number, Operation>> = {
  [GNTTABOP.MAP_GRANT_REF]:     { size: gnttabMapGrantRef.size,         run: mapGrantRef },
  [GNTTABOP.UNMAP_GRANT_REF]:   { size: gnttabUnmapGrantRef.size,       run: unmapGrantRef },
  [GNTTABOP.UNMAP_AND_REPLACE]: { size: gnttabUnmapAndReplace.size,     run: unmapAndReplace },
  [GNTTABOP.COPY]:              { size: gnttabCopy.size,                run: copyGrant },
  [GNTTABOP.TRANSFER]:          { size: abi.gnttabTransfer.size,        run: transferPage },
  [GNTTABOP.SWAP_GRANT_REF]:    { size: abi.gnttabSwapGrantRef.size,    run: swapGrantRef },
  [GNTTABOP.SETUP_TABLE]:       { ...ARRAY, run: setupTable,      single: true },
  [GNTTABOP.DUMP_TABLE]:        { ...ARRAY, run: dumpTable,       single: true },
  [GNTTABOP.QUERY_SIZE]:        { ...ARRAY, run: querySize,       single: true },
  [GNTTABOP.GET_STATUS_FRAMES]: { ...ARRAY, run: getStatusFrames, single: true },
  [GNTTABOP.SET_VERSION]:       { ...ARRAY, run: setVersion,      single: true },
  [GNTTABOP.GET_VERSION]:       { ...ARRAY, run: getVersion,      single: true },
};

export function grantTableOp(call: Hypercall): number {
  const cmd = call.argLo(0);
  const at = call.argAddress(1);
  const count = call.argLo(2);
  const operation = OPERATIONS[cmd];
  if (!operation) return call.missing(`grant_table_op(${cmd})`);
  if ((count | 0) < 0 || (operation.single && count !== 1)) {
    return call.refuse(
      -ERRNO.EINVAL,
      '%d elements: it takes %s',
      count,
      operation.single ? 'one' : 'fewer',
    );
  }
  if (at === undefined) return EFAULT;
  for (let n = 0; n < count; n++) {
    const element = asVirtAddr(at + n * operation.size);
    if (n > 0 && n % BATCH === 0 && call.shouldPreempt()) {
      call.setArg(1, element >>> 0, Math.floor(element / 2 ** 32) >>> 0);
      call.setArg(2, count - n, 0);
      return PREEMPTED;
    }
    const result = operation.run(call, element);
    if (result !== 0) return result;
  }
  return 0;
}

/** The domain whose table is asked about, or the status to answer with. */
function tableOwner(call: Hypercall, domid: number): Domain | abi.GrantStatus {
  const target = call.lookupDomain(domid);
  if (!target) {
    call.noDomain(0, domid);
    return GNTST.bad_domain;
  }
  if (call.mayControl(target)) return target;
  call.notAllowed(0, domid);
  return GNTST.permission_denied;
}

/** Grows the table to so many frames and tells their MFNs. */
function setupTable(call: Hypercall, at: VirtAddr): number {
  const input = call.guest.decode(abi.gnttabSetupTable, at);
  if (!input) return EFAULT;
  const owner = tableOwner(call, input.dom);
  const status =
    typeof owner === 'number'
      ? owner
      : growTable(call, owner, input.nrFrames, fromU64(input.frameList));
  return call.guest.encode(abi.gnttabSetupTable, at, { status }) ? 0 : EFAULT;
}

function growTable(
  call: Hypercall,
  owner: Domain,
  nrFrames: number,
  list: VirtAddr | undefined,
): abi.GrantStatus {
  const { grants } = owner;
  if (!grants.grow(nrFrames)) {
    call.refuse(0, '%d grant frames: d%d may have %d', nrFrames, owner.id, grants.maxFrames);
    return GNTST.general_error;
  }
  return tellFrames(call, grants.frames.slice(0, nrFrames), list);
}

function querySize(call: Hypercall, at: VirtAddr): number {
  const dom = call.guest.readU16(at);
  if (dom === undefined) return EFAULT;
  const owner = tableOwner(call, dom);
  const output =
    typeof owner === 'number'
      ? { status: owner }
      : {
          nrFrames: owner.grants.frames.length,
          maxNrFrames: owner.grants.maxFrames,
          status: GNTST.okay,
        };
  return call.guest.encode(abi.gnttabQuerySize, at, output) ? 0 : EFAULT;
}

function dumpTable(call: Hypercall, at: VirtAddr): number {
  const dom = call.guest.readU16(at);
  if (dom === undefined) return EFAULT;
  const owner = tableOwner(call, dom);
  if (typeof owner !== 'number') {
    // By way of the guest's own lines in the log, which are limited.
    for (const line of owner.grants.describe()) call.hv.consoleWrite(call.domain, `${line}\n`);
  }
  const status = typeof owner === 'number' ? owner : GNTST.okay;
  return call.guest.encode(abi.gnttabDumpTable, at, { status }) ? 0 : EFAULT;
}

function swapGrantRef(call: Hypercall, at: VirtAddr): number {
  const input = call.guest.decode(abi.gnttabSwapGrantRef, at);
  if (!input) return EFAULT;
  const { refA, refB } = input;
  const status = call.domain.grants.swap(refA, refB);
  if (status !== GNTST.okay) {
    call.refuse(0, 'grants %d and %d: one is beyond the table, or in use', refA, refB);
  }
  return call.guest.encode(abi.gnttabSwapGrantRef, at, { status }) ? 0 : EFAULT;
}

/** Tells the version in use, also when it is refused. */
function setVersion(call: Hypercall, at: VirtAddr): number {
  const wanted = call.guest.readU32(at);
  if (wanted === undefined) return EFAULT;
  const { grants } = call.domain;
  const result = wanted === 1 || wanted === 2 ? grants.setVersion(wanted) : -ERRNO.EINVAL;
  if (result < 0) call.refuse(result, VERSION_RULES[result] ?? '', wanted);
  const { version } = grants;
  return call.guest.encode(abi.gnttabSetVersion, at, { version }) ? result : EFAULT;
}

const VERSION_RULES: Readonly<Record<number, string>> = {
  [-ERRNO.EINVAL]: 'there is no version %d of the grant table',
  [-ERRNO.EBUSY]: 'grants or status frames are in use, so version %d cannot be had',
  [-ERRNO.ENOMEM]: 'the host has no frames for the status that version %d needs',
};

function getVersion(call: Hypercall, at: VirtAddr): number {
  const dom = call.guest.readU16(at);
  if (dom === undefined) return EFAULT;
  const owner = tableOwner(call, dom);
  if (owner === GNTST.bad_domain) return -ERRNO.ESRCH;
  if (typeof owner === 'number') return -ERRNO.EPERM;
  const { version } = owner.grants;
  return call.guest.encode(abi.gnttabGetVersion, at, { version }) ? 0 : EFAULT;
}

/** The MFNs of the status frames, which version 2 alone has. */
function getStatusFrames(call: Hypercall, at: VirtAddr): number {
  const input = call.guest.decode(abi.gnttabGetStatusFrames, at);
  if (!input) return EFAULT;
  const owner = tableOwner(call, input.dom);
  const status = typeof owner === 'number' ? owner : tellStatusFrames(call, owner, input);
  return call.guest.encode(abi.gnttabGetStatusFrames, at, { status }) ? 0 : EFAULT;
}

function tellStatusFrames(
  call: Hypercall,
  { grants }: Domain,
  { nrFrames, frameList }: ReturnType<typeof abi.gnttabGetStatusFrames.decode>,
): abi.GrantStatus {
  if (nrFrames > grants.statusFrames.length) {
    call.refuse(0, 'there are %d status frames, not %d', grants.statusFrames.length, nrFrames);
    return GNTST.general_error;
  }
  return tellFrames(call, grants.statusFrames.slice(0, nrFrames), fromU64(frameList));
}

/** @returns bad_virt_addr if the list cannot be written. */
function tellFrames(
  call: Hypercall,
  frames: readonly { readonly mfn: Mfn }[],
  list: VirtAddr | undefined,
): abi.GrantStatus {
  const told = frames.every(
    ({ mfn }, n) => list !== undefined && call.guest.writeHalves(asVirtAddr(list + n * 8), mfn, 0),
  );
  if (told) return GNTST.okay;
  call.fault();
  return GNTST.bad_virt_addr;
}
