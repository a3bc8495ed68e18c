/** memory_op (12): reservations, ballooning, exchange, the machine-to-physical table. Spec: memory.h; xen-abi §1.3. */

import type { Domain } from '../common/domain.js';
import { asMfn, asPfn, asVirtAddr, fromU64, type Mfn, type VirtAddr } from '../machine/types.js';
import { MACH2PHYS_VIRT_END, MACH2PHYS_VIRT_START } from '../public/arch-x86.js';
import { ERRNO } from '../public/errno.js';
import { HYPERCALLS } from '../public/hypercalls.js';
import * as abi from '../public/memory.js';
import { sharedInfo } from '../public/xen.js';
import { type Hypercall, PREEMPTED } from './hypercall.js';
import { memoryExchange } from './memory-exchange.js';

const { XENMEM } = abi;
const EFAULT = -ERRNO.EFAULT;
const PAGE_SIZE = 4096n;
/** Number of this call in the table, for the names of its operations. */
const MEMORY_OP = 12;

type Operation = (call: Hypercall, arg: VirtAddr | undefined, start: number) => number;

// biome-ignore format: one row per operation
const OPERATIONS: Readonly<Record<number, Operation>> = {
  [XENMEM.INCREASE_RESERVATION]: (call, arg, start) => reservation(call, arg, start, increase),
  [XENMEM.DECREASE_RESERVATION]: (call, arg, start) => reservation(call, arg, start, decrease),
  [XENMEM.POPULATE_PHYSMAP]:     (call, arg, start) => reservation(call, arg, start, populate),
  [XENMEM.MAXIMUM_RAM_PAGE]:     (call) => call.domain.frameMap.capacity,
  [XENMEM.CURRENT_RESERVATION]:  (call, arg) => ofDomain(call, arg, (domain) => domain.totPages),
  [XENMEM.MAXIMUM_RESERVATION]:  (call, arg) => ofDomain(call, arg, (domain) => domain.maxPages),
  [XENMEM.MAXIMUM_GPFN]:         (call, arg) => ofDomain(call, arg, (domain) => maximumGpfn(call, domain)),
  [XENMEM.MACHPHYS_MFN_LIST]:    machphysMfnList,
  [XENMEM.MACHPHYS_MAPPING]:     machphysMapping,
  [XENMEM.MEMORY_MAP]:           memoryMap,
  [XENMEM.EXCHANGE]:             memoryExchange,
  [XENMEM.MACHINE_MEMORY_MAP]:   (call) => call.refuse(-ERRNO.EPERM, 'the machine memory map is for the hardware domain'),
  [XENMEM.SET_MEMORY_MAP]:       (call) => call.refuse(-ERRNO.EPERM, 'the memory map is set by the toolstack'),
};

export function memoryOp(call: Hypercall): number {
  const low = call.argLo(0);
  const cmd = low & abi.MEMOP_CMD_MASK;
  const start = low >>> abi.MEMOP_EXTENT_SHIFT;
  const operation = OPERATIONS[cmd];
  if (operation) return operation(call, call.argAddress(1), start);
  const name = HYPERCALLS[MEMORY_OP]?.ops.find((op) => op.number === cmd)?.name ?? `${cmd}`;
  return call.missing(`memory_op(${name})`);
}

/** The domain that an operation is about, if the caller may ask. */
function ofDomain(
  call: Hypercall,
  arg: VirtAddr | undefined,
  answer: (domain: Domain) => number,
): number {
  const domid = call.guest.readU16(arg);
  if (domid === undefined) return EFAULT;
  const target = call.controlled(domid);
  return typeof target === 'number' ? target : answer(target);
}

/** The largest PFN, as the guest itself says in shared_info. */
function maximumGpfn(call: Hypercall, domain: Domain): number {
  const maxPfn = sharedInfo.decode(call.hv.ram.view, domain.sharedInfoAddress).maxPfn;
  return Math.max(Number(maxPfn) - 1, 0);
}

// ---- reservations ----

interface Reservation {
  readonly domain: Domain;
  /** Array of MFNs or PFNs; undefined if the guest does not want to know. */
  readonly list: VirtAddr | undefined;
  readonly order: number;
}

/** Handles one extent. @returns false if it cannot be done. */
type Extent = (call: Hypercall, reservation: Reservation, n: number) => boolean;

/** @returns the number of extents done; whatever stops it, as on Xen. */
function reservation(
  call: Hypercall,
  arg: VirtAddr | undefined,
  start: number,
  extent: Extent,
): number {
  const input = call.guest.decode(abi.xenMemoryReservation, arg);
  if (!input) {
    call.fault();
    return start;
  }
  const domain = call.controlled(input.domid);
  if (typeof domain === 'number') return start;
  const order = input.extentOrder;
  const count = Number(input.nrExtents);
  if (order > abi.DOMU_MAX_ORDER || count >= 2 ** 32) {
    return call.refuse(start, 'extents of order %d: the most is %d', order, abi.DOMU_MAX_ORDER);
  }
  const list = input.extentStart === 0n ? undefined : fromU64(input.extentStart);
  for (let n = start; n < count; n++) {
    if (n > start && (n & 31) === 0 && call.shouldPreempt()) {
      const low = (call.argLo(0) & abi.MEMOP_CMD_MASK) | (n << abi.MEMOP_EXTENT_SHIFT);
      call.setArg(0, low >>> 0, 0);
      return PREEMPTED;
    }
    if (!extent(call, { domain, list, order }, n)) {
      return call.refuse(n, 'extent %d of %d is not done', n, count);
    }
  }
  return count;
}

const entryOf = (list: VirtAddr, n: number): VirtAddr => asVirtAddr(list + n * 8);

function increase(call: Hypercall, { domain, list, order }: Reservation, n: number): boolean {
  const mfn = domain.allocateBlock(order);
  if (mfn === undefined) return noRoom(call, domain, order);
  return list === undefined || tell(call, list, n, mfn);
}

/** Tells the guest the MFN of an extent. */
function tell(call: Hypercall, list: VirtAddr, n: number, mfn: Mfn): boolean {
  return call.guest.writeHalves(entryOf(list, n), mfn, 0) || unreachable(call);
}

function unreachable(call: Hypercall): false {
  call.fault();
  return false;
}

/** Why there are no pages: the domain's ceiling, the host, or no row of them that is so long. */
function noRoom(call: Hypercall, { id, totPages, maxPages }: Domain, order: number): false {
  const pages = 2 ** order;
  const { free } = call.hv.frames;
  if (totPages + pages > maxPages) {
    call.refuse(
      0,
      'd%d has %d of at most %d pages: %d more are too many',
      id,
      totPages,
      maxPages,
      pages,
    );
  } else if (free < pages) call.refuse(0, 'the host has %d free frames, not %d', free, pages);
  else call.refuse(0, 'd%d has no %d free mfns in a row', id, pages);
  return false;
}

/** Gives 2^order pages back; each goes when its last mapping does. */
function decrease(call: Hypercall, { domain, list, order }: Reservation, n: number): boolean {
  const first = list === undefined ? undefined : call.guest.readNumber(entryOf(list, n));
  if (first === undefined) return unreachable(call);
  for (let offset = 0; offset < 2 ** order; offset++) {
    if (!giveUp(call, domain, asMfn(first + offset))) return false;
  }
  return true;
}

function giveUp(call: Hypercall, domain: Domain, mfn: Mfn): boolean {
  if (domain.kindOf(mfn) === 'ram' && domain.services.memory.dropAllocation(domain, mfn)) {
    return true;
  }
  call.refuse(0, 'mfn %x is no page of d%d, or was given up before', mfn, domain.id);
  return false;
}

/** Fills PFNs with fresh pages and tells their MFNs. */
function populate(call: Hypercall, { domain, list, order }: Reservation, n: number): boolean {
  const pfn = list === undefined ? undefined : call.guest.readNumber(entryOf(list, n));
  if (list === undefined || pfn === undefined) return unreachable(call);
  const mfn = domain.allocateBlock(order);
  if (mfn === undefined) return noRoom(call, domain, order);
  for (let offset = 0; offset < 2 ** order; offset++) {
    domain.services.memory.setPhysical(domain, asMfn(mfn + offset), asPfn(pfn + offset));
  }
  return tell(call, list, n, mfn);
}

// ---- tables and maps ----

/** The machine-to-physical table has no frames here: reads of it are computed. */
function machphysMfnList(call: Hypercall, arg: VirtAddr | undefined): number {
  return call.guest.encode(abi.xenMachphysMfnList, arg, { nrExtents: 0 }) ? 0 : EFAULT;
}

function machphysMapping(call: Hypercall, arg: VirtAddr | undefined): number {
  const output = {
    vStart: BigInt.asUintN(64, BigInt(MACH2PHYS_VIRT_START)),
    vEnd: BigInt.asUintN(64, BigInt(MACH2PHYS_VIRT_END)),
    maxMfn: BigInt(MACH2PHYS_VIRT_END - MACH2PHYS_VIRT_START) / 8n - 1n,
  };
  return call.guest.encode(abi.xenMachphysMapping, arg, output) ? 0 : EFAULT;
}

/** One entry: RAM up to the ceiling of the reservation. */
function memoryMap(call: Hypercall, arg: VirtAddr | undefined): number {
  const input = call.guest.decode(abi.xenMemoryMap, arg);
  if (!input) return EFAULT;
  const nrEntries = Math.min(input.nrEntries, 1);
  if (nrEntries === 1) {
    const entry = new Uint8Array(abi.E820_ENTRY_SIZE);
    const view = new DataView(entry.buffer);
    view.setBigUint64(8, BigInt(call.domain.maxPages) * PAGE_SIZE, true);
    view.setUint32(16, abi.E820.RAM, true);
    if (!call.guest.copyTo(fromU64(input.buffer), entry)) return EFAULT;
  }
  return call.guest.encode(abi.xenMemoryMap, arg, { nrEntries }) ? 0 : EFAULT;
}
