/** memory_op: reservations, exchange, maps. pv's part (references, the M2P) is played by a plain count. */

import { describe, expect, test } from 'vitest';
import { asMfn } from '../../hypervisor/machine/types.js';
import { ERRNO } from '../../hypervisor/public/errno.js';
import * as abi from '../../hypervisor/public/memory.js';
import { DOMID, sharedInfo } from '../../hypervisor/public/xen.js';
import { BAD_POINTERS, CallBench } from '../support/call-bench.js';

const { XENMEM } = abi;
const OP = 'memory_op';

function reserve(
  b: CallBench,
  cmd: number,
  list: number,
  count: number,
  order = 0,
  domid: number = DOMID.SELF,
) {
  const fields = { extentStart: BigInt(list), nrExtents: BigInt(count), extentOrder: order, domid };
  return b.call(OP, cmd, b.put(abi.xenMemoryReservation, fields));
}

describe('reservations', () => {
  test('populate fills the list with MFNs of fresh pages', () => {
    const b = new CallBench();
    const list = b.putNumbers(100, 101, 102);
    expect(reserve(b, XENMEM.POPULATE_PHYSMAP, list, 3)).toBe(3);
    for (let n = 0; n < 3; n++) expect(b.domain.kindOf(asMfn(b.number(list + n * 8)))).toBe('ram');
    expect(b.domain.totPages).toBe(3);
  });

  test('it stops at the ceiling and tells how many', () => {
    const b = new CallBench({ maxPages: 2 });
    expect(reserve(b, XENMEM.POPULATE_PHYSMAP, b.putNumbers(1, 2, 3), 3)).toBe(2);
    expect(reserve(b, XENMEM.INCREASE_RESERVATION, 0, 1)).toBe(0);
  });

  test('increase does not have to tell', () => {
    const b = new CallBench();
    expect(reserve(b, XENMEM.INCREASE_RESERVATION, 0, 5)).toBe(5);
    expect(b.domain.totPages).toBe(5);
  });

  test('decrease gives pages back to the host', () => {
    const b = new CallBench();
    const mfns = [b.domain.allocatePage()!, b.domain.allocatePage()!];
    const { free } = b.machine.frames;
    expect(reserve(b, XENMEM.DECREASE_RESERVATION, b.putNumbers(...mfns), 2)).toBe(2);
    expect(b.machine.frames.free).toBe(free + 2);
    expect(b.domain.totPages).toBe(0);
  });

  test('an extent of order 9 is a block, and goes as one', () => {
    const b = new CallBench({ maxPages: 512 });
    const list = b.putNumbers(0);
    expect(reserve(b, XENMEM.POPULATE_PHYSMAP, list, 1, 9)).toBe(1);
    expect(b.number(list) % 512).toBe(0);
    expect(reserve(b, XENMEM.DECREASE_RESERVATION, list, 1, 9)).toBe(1);
    expect(b.domain.totPages).toBe(0);
  });

  // biome-ignore format: one row per refusal
  test.each([
    ['an MFN that is nowhere',        XENMEM.DECREASE_RESERVATION, [0xff_ffff_ffff],  1,   0,  DOMID.SELF],
    ['shared_info',                   XENMEM.DECREASE_RESERVATION, 'shared_info',     1,   0,  DOMID.SELF],
    ['an order beyond the limit',     XENMEM.POPULATE_PHYSMAP,     [1],               1,   10, DOMID.SELF],
    ['another domain',                XENMEM.INCREASE_RESERVATION, [1],               1,   0,  2],
    ['a domain that does not exist',  XENMEM.INCREASE_RESERVATION, [1],               1,   0,  77],
    ['2^40 extents',                  XENMEM.INCREASE_RESERVATION, [1],               2 ** 40, 0, DOMID.SELF],
  ] as const)('nothing is done for %s', (_, cmd, extents, count, order, domid) => {
    const b = new CallBench();
    b.newDomain();
    const numbers = extents === 'shared_info' ? [b.domain.sharedInfo.mfn] : extents;
    expect(reserve(b, cmd, b.putNumbers(...numbers), count, order, domid)).toBe(0);
    expect(b.reasons).not.toEqual([]);
  });

  test.each(BAD_POINTERS)('a pointer of %o does nothing', (pointer) => {
    const b = new CallBench();
    expect(b.call(OP, XENMEM.POPULATE_PHYSMAP, pointer)).toBe(0);
    expect(reserve(b, XENMEM.POPULATE_PHYSMAP, Number.isNaN(pointer) ? 2 ** 62 : pointer, 1)).toBe(
      0,
    );
  });

  test('a long one is preempted and goes on where it was', () => {
    const b = new CallBench({ maxPages: 200 });
    const list = b.putNumbers(...Array.from({ length: 100 }, (_, n) => n));
    b.preemptAfter = 1;
    const rip = b.rip;
    reserve(b, XENMEM.POPULATE_PHYSMAP, list, 100);
    expect([b.rip, b.domain.totPages]).toEqual([rip - 2, 64]);
    b.preemptAfter = Number.POSITIVE_INFINITY;
    expect(b.again()).toBe(100);
    expect(b.rip).toBe(rip);
    expect(b.domain.totPages).toBe(100);
    expect(new Set(Array.from({ length: 100 }, (_, n) => b.number(list + n * 8))).size).toBe(100);
  });
});

describe('questions', () => {
  const ask = (b: CallBench, cmd: number, domid: number = DOMID.SELF) =>
    b.call(OP, cmd, b.put(abi.xenMemoryDomain, { domid }));

  test('current and maximum reservation', () => {
    const b = new CallBench({ maxPages: 77 });
    b.domain.allocatePage();
    expect(ask(b, XENMEM.CURRENT_RESERVATION)).toBe(1);
    expect(ask(b, XENMEM.MAXIMUM_RESERVATION)).toBe(77);
    expect(ask(b, XENMEM.CURRENT_RESERVATION, 77)).toBe(-ERRNO.ESRCH);
    b.newDomain();
    expect(ask(b, XENMEM.CURRENT_RESERVATION, 2)).toBe(-ERRNO.EPERM);
  });

  test('maximum_gpfn is what the guest says in shared_info', () => {
    const b = new CallBench();
    sharedInfo.encode(b.machine.ram.view, b.domain.sharedInfoAddress, { maxPfn: 1024n });
    expect(ask(b, XENMEM.MAXIMUM_GPFN)).toBe(1023);
  });

  test('the machine-to-physical table is where Xen has it', () => {
    const b = new CallBench();
    const at = b.room(abi.xenMachphysMapping.size);
    expect(b.call(OP, XENMEM.MACHPHYS_MAPPING, at)).toBe(0);
    expect(b.get(abi.xenMachphysMapping, at)).toEqual({
      vStart: 0xffff_8000_0000_0000n,
      vEnd: 0xffff_8040_0000_0000n,
      maxMfn: 0x7_ffff_ffffn,
    });
  });

  test('the memory map is one entry of RAM', () => {
    const b = new CallBench({ maxPages: 256 });
    const buffer = b.room(40);
    const at = b.put(abi.xenMemoryMap, { nrEntries: 2, buffer: BigInt(buffer) });
    expect(b.call(OP, XENMEM.MEMORY_MAP, at)).toBe(0);
    expect(b.get(abi.xenMemoryMap, at).nrEntries).toBe(1);
    expect([b.number(buffer), b.number(buffer + 8)]).toEqual([0, 256 * 4096]);
    expect(b.machine.ram.view.getUint32(b.host(buffer) + 16, true)).toBe(abi.E820.RAM);
  });

  test.each([
    ['machine_memory_map', XENMEM.MACHINE_MEMORY_MAP, -ERRNO.EPERM],
    ['set_memory_map', XENMEM.SET_MEMORY_MAP, -ERRNO.EPERM],
    ['sharing_op', XENMEM.SHARING_OP, -ERRNO.ENOSYS],
    ['a number that is none', 63, -ERRNO.ENOSYS],
  ])('%s', (_, cmd, result) => {
    expect(new CallBench().call(OP, cmd, 0x10000)).toBe(result);
  });

  test('what is missing is counted by its name', () => {
    const b = new CallBench();
    b.call(OP, XENMEM.SHARING_OP, 0);
    expect([...b.domain.missingCalls.keys()]).toEqual(['memory_op(sharing_op)']);
  });
});

describe('exchange', () => {
  function exchange(
    b: CallBench,
    input: number[],
    order: number,
    output: number[],
    outOrder: number,
    nrExchanged = 0n,
  ) {
    const at = b.room(abi.xenMemoryExchange.size);
    const { view } = b.machine.ram;
    const lists = [b.putNumbers(...input), b.putNumbers(...output)];
    const sides = [
      [input, order, 0],
      [output, outOrder, abi.xenMemoryExchange.offset.out],
    ] as const;
    for (const [n, [list, extentOrder, offset]] of sides.entries()) {
      abi.xenMemoryReservation.encode(view, b.host(at) + offset, {
        extentStart: BigInt(lists[n]!),
        nrExtents: BigInt(list.length),
        extentOrder,
        domid: DOMID.SELF,
      });
    }
    abi.xenMemoryExchange.encode(view, b.host(at), { nrExchanged });
    const result = b.call(OP, XENMEM.EXCHANGE, at);
    const done = Number(b.get(abi.xenMemoryExchange, at).nrExchanged);
    return { result, done, mfns: output.map((_, n) => b.number(lists[1]! + n * 8)) };
  }

  test('four pages for a block of four, even at the ceiling', () => {
    const b = new CallBench({ maxPages: 4 });
    const given = Array.from({ length: 4 }, () => b.domain.allocatePage()!);
    const { result, done, mfns } = exchange(b, given, 0, [16], 2);
    expect([result, done]).toEqual([0, 4]);
    expect(mfns[0]! % 4).toBe(0);
    for (let n = 0; n < 4; n++) expect(b.domain.kindOf(asMfn(mfns[0]! + n))).toBe('ram');
    expect(b.domain.totPages).toBe(4);
  });

  test('a block for single pages', () => {
    const b = new CallBench({ maxPages: 64 });
    const base = b.domain.allocateBlock(2)!;
    const { result, mfns } = exchange(b, [base], 2, [1, 2, 3, 4], 0);
    expect(result).toBe(0);
    expect(new Set(mfns).size).toBe(4);
    expect(b.domain.totPages).toBe(4);
  });

  test.each([
    ['sides of different size', (b: CallBench) => [b.domain.allocatePage()!], 0, [1], 1],
    ["a page that is not the domain's", () => [9999, 9998], 0, [1], 1],
    ['the same page twice', (b: CallBench) => Array(2).fill(b.domain.allocatePage()!), 0, [1], 1],
  ] as const)('%s: -EINVAL, nothing changes', (_, give, order, output, outOrder) => {
    const b = new CallBench();
    const given = [...give(b)];
    const before = b.domain.totPages;
    expect(exchange(b, given, order, [...output], outOrder).result).toBe(-ERRNO.EINVAL);
    expect(b.domain.totPages).toBe(before);
  });

  test.each([1n, 3n, 5n, 2n ** 63n, 2n ** 64n - 1n])('beginning in the middle, at %i', (start) => {
    const b = new CallBench();
    const given = Array.from({ length: 4 }, () => b.domain.allocatePage()!);
    expect(exchange(b, given, 0, [1], 2, start).result).toBe(-ERRNO.EINVAL);
    expect(b.domain.totPages).toBe(4);
  });

  test.each(BAD_POINTERS)('a pointer of %o', (pointer) => {
    expect(new CallBench().call(OP, XENMEM.EXCHANGE, pointer)).toBe(-ERRNO.EFAULT);
  });
});
