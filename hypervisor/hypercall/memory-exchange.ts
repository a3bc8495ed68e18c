/** XENMEM_exchange: give pages up and get as many others, which lie in a row. Spec: memory.h, xen_memory_exchange. */

import type { Domain } from '../common/domain.js';
import { asMfn, asPfn, asVirtAddr, fromU64, type Mfn, type VirtAddr } from '../machine/types.js';
import { ERRNO } from '../public/errno.js';
import * as abi from '../public/memory.js';
import { type Hypercall, PREEMPTED } from './hypercall.js';

const { xenMemoryExchange, xenMemoryReservation } = abi;

interface Side {
  readonly list: VirtAddr;
  readonly order: number;
  readonly count: number;
}

/** @returns 0; -EFAULT; -EINVAL: sides differ in size, or a page is in use; -ENOMEM; -EPERM for another domain. */
export function memoryExchange(call: Hypercall, arg: VirtAddr | undefined): number {
  const request = readRequest(call, arg);
  if (typeof request === 'number') return request;
  const { input, order, perStep } = request;
  for (let n = request.start; n < input.count; n += perStep) {
    const result = exchange(call, input, request.output, order, n);
    if (result !== 0) return result;
    const nrExchanged = BigInt(n + perStep);
    if (!call.guest.encode(xenMemoryExchange, arg, { nrExchanged })) return -ERRNO.EFAULT;
    if (n + perStep < input.count && call.shouldPreempt()) return PREEMPTED;
  }
  return 0;
}

/** What is to be exchanged, or a negated errno. */
function readRequest(call: Hypercall, arg: VirtAddr | undefined) {
  const done = call.guest.decode(xenMemoryExchange, arg);
  const input = readSide(call, arg, xenMemoryExchange.offset.in);
  if (typeof input === 'number') return input;
  const output = readSide(call, arg, xenMemoryExchange.offset.out);
  if (typeof output === 'number') return output;
  if (input.count * 2 ** input.order !== output.count * 2 ** output.order) {
    const rule = 'as many pages come as go: not %d for %d';
    const [gone, come] = [input, output].map((side) => side.count * 2 ** side.order);
    return call.refuse(-ERRNO.EINVAL, rule, come ?? 0, gone ?? 0);
  }
  // One step exchanges one extent of the larger order.
  const order = Math.max(input.order, output.order);
  const perStep = 2 ** (order - input.order);
  // The guest's number, when the call is not a continuation.
  const start = Number(done?.nrExchanged);
  if (!(start <= input.count) || start % perStep !== 0) {
    return call.refuse(-ERRNO.EINVAL, 'nr_exchanged is %d of %d', start, input.count);
  }
  return { input, output, order, perStep, start };
}

function readSide(call: Hypercall, arg: VirtAddr | undefined, offset: number): Side | number {
  const at = arg === undefined ? undefined : asVirtAddr(arg + offset);
  const input = call.guest.decode(xenMemoryReservation, at);
  const list = input && fromU64(input.extentStart);
  if (!input || list === undefined) return -ERRNO.EFAULT;
  if (call.lookupDomain(input.domid) !== call.domain) {
    return call.notAllowed(-ERRNO.EPERM, input.domid);
  }
  const count = Number(input.nrExtents);
  if (input.extentOrder > abi.DOMU_MAX_ORDER || count >= 2 ** 32) {
    const rule = 'extents of order %d: the most is %d';
    return call.refuse(-ERRNO.EPERM, rule, input.extentOrder, abi.DOMU_MAX_ORDER);
  }
  return { list, order: input.extentOrder, count };
}

/** Exchanges 2^order pages, from input extent n on. Nothing changes unless all of it can be done. */
function exchange(call: Hypercall, input: Side, output: Side, order: number, n: number): number {
  const { domain } = call;
  const given = readExtents(call, input, n, order);
  if (!given) return -ERRNO.EFAULT;
  const first = (n * 2 ** input.order) / 2 ** output.order;
  const wanted = 2 ** (order - output.order);
  const pfns: number[] = [];
  for (let k = 0; k < wanted; k++) {
    const pfn = call.guest.readNumber(asVirtAddr(output.list + (first + k) * 8));
    if (pfn === undefined) return -ERRNO.EFAULT;
    pfns.push(pfn);
  }
  const { memory } = domain.services;
  const busy = given.find((mfn) => domain.kindOf(mfn) !== 'ram' || !memory.isIdle(domain, mfn));
  if (busy !== undefined || new Set(given).size < given.length) {
    const rule = 'mfn %x is no page of d%d, in use, or given twice';
    return call.refuse(-ERRNO.EINVAL, rule, busy ?? given[0] ?? 0, domain.id);
  }
  const taken = takeBlocks(domain, output.order, wanted, given.length);
  if (!taken) {
    const rule = 'there are no %d blocks of 2^%d pages in a row';
    return call.refuse(-ERRNO.ENOMEM, rule, wanted, output.order);
  }
  for (const mfn of given) memory.dropAllocation(domain, mfn);
  for (const [k, base] of taken.entries()) {
    for (let offset = 0; offset < 2 ** output.order; offset++) {
      memory.setPhysical(domain, asMfn(base + offset), asPfn((pfns[k] ?? 0) + offset));
    }
    const at = asVirtAddr(output.list + (first + k) * 8);
    if (!call.guest.writeHalves(at, base, 0)) return -ERRNO.EFAULT;
  }
  return 0;
}

/** The MFNs of the input extents that make up 2^order pages. */
function readExtents(call: Hypercall, side: Side, n: number, order: number): Mfn[] | undefined {
  const mfns: Mfn[] = [];
  for (let k = 0; k < 2 ** (order - side.order); k++) {
    const base = call.guest.readNumber(asVirtAddr(side.list + (n + k) * 8));
    if (base === undefined) return undefined;
    for (let offset = 0; offset < 2 ** side.order; offset++) mfns.push(asMfn(base + offset));
  }
  return mfns;
}

/** Allocates the new pages before the old ones go: for that moment the domain may have more than its ceiling. */
function takeBlocks(
  domain: Domain,
  order: number,
  count: number,
  pages: number,
): Mfn[] | undefined {
  const blocks: Mfn[] = [];
  domain.maxPages += pages;
  while (blocks.length < count) {
    const base = domain.allocateBlock(order);
    if (base === undefined) break;
    blocks.push(base);
  }
  domain.maxPages -= pages;
  if (blocks.length === count) return blocks;
  for (const base of blocks) {
    for (let offset = 0; offset < 2 ** order; offset++) domain.releasePage(asMfn(base + offset));
  }
  return undefined;
}
