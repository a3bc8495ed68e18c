/** grant_table_op: statuses and results. The page-table side of a mapping is pv's and stands for okay here. */

import { describe, expect, test } from 'vitest';
import type { Domain } from '../../hypervisor/common/domain.js';
import type { Mfn } from '../../hypervisor/machine/types.js';
import { ERRNO } from '../../hypervisor/public/errno.js';
import * as abi from '../../hypervisor/public/grant-table.js';
import { DOMID } from '../../hypervisor/public/xen.js';
import { BAD_POINTERS, CallBench } from '../support/call-bench.js';

const { GNTTABOP, GNTMAP, GNTST, GNTCOPY } = abi;
const OP = 'grant_table_op';
const REF = 8;

/** A bench whose caller has been granted a page of domain 2 under REF. */
function granted(): { b: CallBench; peer: Domain; mfn: Mfn } {
  const b = new CallBench();
  const peer = b.newDomain();
  const mfn = peer.allocatePage()!;
  peer.grants.seed(REF, b.domain.id, mfn);
  return { b, peer, mfn };
}

function map(b: CallBench, fields: Partial<ReturnType<typeof abi.gnttabMapGrantRef.decode>> = {}) {
  const at = b.put(abi.gnttabMapGrantRef, {
    hostAddr: 0x40_0000n,
    flags: GNTMAP.HOST_MAP,
    ref: REF,
    dom: 2,
    ...fields,
  });
  expect(b.call(OP, GNTTABOP.MAP_GRANT_REF, at, 1)).toBe(0);
  return b.get(abi.gnttabMapGrantRef, at);
}

function unmap(b: CallBench, handle: number, hostAddr = 0x40_0000n, devBusAddr = 0n) {
  const at = b.put(abi.gnttabUnmapGrantRef, { hostAddr, devBusAddr, handle });
  expect(b.call(OP, GNTTABOP.UNMAP_GRANT_REF, at, 1)).toBe(0);
  return b.get(abi.gnttabUnmapGrantRef, at).status;
}

describe('map and unmap', () => {
  test('an alias in the space of the mapper, until it is unmapped', () => {
    const { b, peer, mfn } = granted();
    const { status, handle, devBusAddr } = map(b);
    expect(status).toBe(GNTST.okay);
    const alias = Number(devBusAddr / 4096n) as Mfn;
    expect(b.domain.kindOf(alias)).toBe('alias');
    expect(b.domain.frameMap.lookup(alias)).toBe(peer.frameMap.lookup(mfn));
    expect(unmap(b, handle)).toBe(GNTST.okay);
    expect(b.domain.kindOf(alias)).toBeUndefined();
    expect(unmap(b, handle)).toBe(GNTST.bad_handle);
    expect(peer.grants.active).toBe(0);
  });

  // biome-ignore format: one row per refusal
  test.each([
    ['neither host nor device mapping', { flags: GNTMAP.READONLY },          GNTST.general_error],
    ['a domain that does not exist',    { dom: 77 },                         GNTST.bad_domain],
    ['a reference beyond the table',    { ref: 512 },                        GNTST.bad_gntref],
    ['a reference of 2^32 - 1',         { ref: 0xffff_ffff },                GNTST.bad_gntref],
    ['an entry that grants nothing',    { ref: REF + 1 },                    GNTST.general_error],
    ['an address that is not canonical', { hostAddr: 1n << 62n },            GNTST.bad_virt_addr],
  ])('%s', (_, fields, status) => {
    const { b, peer } = granted();
    expect(map(b, fields).status).toBe(status);
    expect(peer.grants.active).toBe(0);
    expect(b.domain.grants.maptrack.size).toBe(0);
  });

  test('host and device mapping end separately', () => {
    const { b } = granted();
    const { handle, devBusAddr } = map(b, { flags: GNTMAP.HOST_MAP | GNTMAP.DEVICE_MAP });
    expect(unmap(b, handle, 0n, devBusAddr + 4096n)).toBe(GNTST.general_error);
    expect(unmap(b, handle, 0n, devBusAddr)).toBe(GNTST.okay);
    expect(unmap(b, handle)).toBe(GNTST.okay);
    expect(unmap(b, handle)).toBe(GNTST.bad_handle);
  });

  test('maptrack has a limit', () => {
    const { b } = granted();
    for (let n = 0; n < 256; n++) {
      b.domain.grants.maptrack.add({ granter: { release: () => undefined } } as never);
    }
    expect(map(b).status).toBe(GNTST.no_space);
  });

  test('a batch goes on after one that is refused', () => {
    const { b } = granted();
    const { size } = abi.gnttabMapGrantRef;
    const at = b.room(3 * size);
    for (const [n, ref] of [REF, 99, REF].entries()) {
      const fields = { hostAddr: 0x40_0000n, flags: GNTMAP.HOST_MAP, ref, dom: 2 };
      abi.gnttabMapGrantRef.encode(b.machine.ram.view, b.host(at) + n * size, fields);
    }
    expect(b.call(OP, GNTTABOP.MAP_GRANT_REF, at, 3)).toBe(0);
    const statuses = [0, 1, 2].map((n) => b.get(abi.gnttabMapGrantRef, at + n * size).status);
    expect(statuses).toEqual([GNTST.okay, GNTST.general_error, GNTST.okay]);
  });

  test('a long batch is preempted and goes on', () => {
    const { b } = granted();
    const { size } = abi.gnttabUnmapGrantRef;
    const at = b.room(100 * size);
    b.preemptAfter = 1;
    const { rip } = b;
    b.call(OP, GNTTABOP.UNMAP_GRANT_REF, at, 100);
    expect(b.rip).toBe(rip - 2);
    expect([b.lo[6]! - at, b.lo[2]]).toEqual([64 * size, 36]);
    b.preemptAfter = Number.POSITIVE_INFINITY;
    expect(b.again()).toBe(0);
  });
});

describe('copy', () => {
  function copy(b: CallBench, fields: Partial<ReturnType<typeof abi.gnttabCopy.decode>>) {
    const at = b.put(abi.gnttabCopy, { sourceDomid: DOMID.SELF, destDomid: DOMID.SELF, ...fields });
    expect(b.call(OP, GNTTABOP.COPY, at, 1)).toBe(0);
    return b.get(abi.gnttabCopy, at).status;
  }

  test("out of a granted page into one of one's own", () => {
    const { b, peer, mfn } = granted();
    const own = b.domain.allocatePage()!;
    const { ram } = b.machine;
    ram.frameBytes(peer.frameMap.lookup(mfn)!).set([1, 2, 3, 4], 100);
    const fields = {
      source: BigInt(REF),
      sourceDomid: 2,
      sourceOffset: 100,
      dest: BigInt(own),
      destOffset: 200,
      len: 4,
      flags: GNTCOPY.SOURCE_GREF,
    };
    expect(copy(b, fields)).toBe(GNTST.okay);
    expect([...ram.frameBytes(b.domain.frameMap.lookup(own)!).subarray(199, 205)]).toEqual([
      0, 1, 2, 3, 4, 0,
    ]);
    expect(peer.grants.active).toBe(0);
    expect([...b.machine.references.values()].every((count) => count === 0)).toBe(true);
  });

  test('into a granted page', () => {
    const { b, peer, mfn } = granted();
    const own = b.domain.allocatePage()!;
    b.machine.ram.frameBytes(b.domain.frameMap.lookup(own)!).fill(7);
    const fields = {
      source: BigInt(own),
      dest: BigInt(REF),
      destDomid: 2,
      len: 4096,
      flags: GNTCOPY.DEST_GREF,
    };
    expect(copy(b, fields)).toBe(GNTST.okay);
    expect(b.machine.ram.frameBytes(peer.frameMap.lookup(mfn)!).every((byte) => byte === 7)).toBe(
      true,
    );
  });

  // biome-ignore format: one row per refusal
  test.each([
    ['beyond the source page',              { sourceOffset: 4000, len: 97 },                                                    GNTST.bad_copy_arg],
    ['beyond the destination page',         { destOffset: 1, len: 4096 },                                                       GNTST.bad_copy_arg],
    ['a foreign page without a grant',      { sourceDomid: 2, len: 1 },                                                         GNTST.permission_denied],
    ['a source that is not the caller\'s',  { source: 999_999n, len: 1 },                                                       GNTST.bad_page],
    ['a domain that does not exist',        { source: 8n, sourceDomid: 77, flags: GNTCOPY.SOURCE_GREF, len: 1 },                GNTST.bad_domain],
    ['a grant that is none',                { source: 9n, sourceDomid: 2, flags: GNTCOPY.SOURCE_GREF, len: 1 },                 GNTST.general_error],
  ])('%s', (_, fields, status) => {
    const { b } = granted();
    expect(copy(b, fields)).toBe(status);
  });

  test('a page table is no destination', () => {
    const { b } = granted();
    const [from, to] = [b.domain.allocatePage()!, b.domain.allocatePage()!];
    b.machine.tables.add(to);
    expect(copy(b, { source: BigInt(from), dest: BigInt(to), len: 1 })).toBe(GNTST.bad_page);
    expect([...b.machine.references.values()].every((count) => count === 0)).toBe(true);
  });
});

describe('the table', () => {
  test('setup_table grows it and tells its MFNs', () => {
    const b = new CallBench();
    const list = b.room(32);
    const at = b.put(abi.gnttabSetupTable, {
      dom: DOMID.SELF,
      nrFrames: 3,
      frameList: BigInt(list),
    });
    expect(b.call(OP, GNTTABOP.SETUP_TABLE, at, 1)).toBe(0);
    expect(b.get(abi.gnttabSetupTable, at).status).toBe(GNTST.okay);
    const mfns = [0, 1, 2].map((n) => b.number(list + n * 8));
    expect(mfns).toEqual(b.domain.grants.frames.map(({ mfn }) => mfn));
    expect(mfns.map((mfn) => b.domain.kindOf(mfn as Mfn))).toEqual(['xen', 'xen', 'xen']);
  });

  // biome-ignore format: one row per refusal
  test.each([
    ['more frames than the limit',   { nrFrames: 5 },                              GNTST.general_error],
    ['a domain that does not exist', { dom: 77 },                                  GNTST.bad_domain],
    ['another domain',               { dom: 2 },                                   GNTST.permission_denied],
    ['a list in Xen\'s range',       { frameList: 0xffff_8000_0000_0000n },        GNTST.bad_virt_addr],
    ['a list that is nowhere',       { frameList: 1n << 62n },                     GNTST.bad_virt_addr],
  ])('setup_table for %s', (_, fields, status) => {
    const { b } = granted();
    const at = b.put(abi.gnttabSetupTable, { dom: DOMID.SELF, nrFrames: 1, frameList: 0x10000n, ...fields });
    expect(b.call(OP, GNTTABOP.SETUP_TABLE, at, 1)).toBe(0);
    expect(b.get(abi.gnttabSetupTable, at).status).toBe(status);
  });

  test('query_size, get_version, set_version', () => {
    const b = new CallBench();
    const size = b.put(abi.gnttabQuerySize, { dom: DOMID.SELF });
    expect(b.call(OP, GNTTABOP.QUERY_SIZE, size, 1)).toBe(0);
    expect(b.get(abi.gnttabQuerySize, size)).toMatchObject({
      nrFrames: 1,
      maxNrFrames: 4,
      status: 0,
    });
    const version = b.put(abi.gnttabGetVersion, { dom: DOMID.SELF });
    expect(b.call(OP, GNTTABOP.GET_VERSION, version, 1)).toBe(0);
    expect(b.get(abi.gnttabGetVersion, version).version).toBe(1);
    const set = (value: number) =>
      b.call(OP, GNTTABOP.SET_VERSION, b.put(abi.gnttabSetVersion, { version: value }), 1);
    expect([set(1), set(2), set(3), set(0)]).toEqual([0, 0, -ERRNO.EINVAL, -ERRNO.EINVAL]);
    expect(b.call(OP, GNTTABOP.GET_VERSION, version, 1)).toBe(0);
    expect(b.get(abi.gnttabGetVersion, version).version).toBe(2);
  });

  test('what version 1 has not', () => {
    const b = new CallBench();
    const status = b.put(abi.gnttabGetStatusFrames, { dom: DOMID.SELF, nrFrames: 1 });
    expect(b.call(OP, GNTTABOP.GET_STATUS_FRAMES, status, 1)).toBe(0);
    expect(b.get(abi.gnttabGetStatusFrames, status).status).toBe(GNTST.general_error);
    expect(b.call(OP, GNTTABOP.CACHE_FLUSH, 0x10000, 1)).toBe(-ERRNO.ENOSYS);
  });

  test('entries change places unless they are in use', () => {
    const { b, peer } = granted();
    const swap = (refA: number, refB: number) => {
      const at = b.put(abi.gnttabSwapGrantRef, { refA, refB });
      expect(b.call(OP, GNTTABOP.SWAP_GRANT_REF, at, 1)).toBe(0);
      return b.get(abi.gnttabSwapGrantRef, at).status;
    };
    const mfn = b.domain.allocatePage()!;
    b.domain.grants.seed(REF, peer.id, mfn);
    expect(swap(REF, REF + 1)).toBe(GNTST.okay);
    expect(b.domain.grants.acquire(REF + 1, peer.id, false).status).toBe(GNTST.okay);
    expect(swap(REF, REF + 1)).toBe(GNTST.eagain);
    expect(swap(REF, 512)).toBe(GNTST.bad_gntref);
  });

  test('dump_table writes what is in use to the log', () => {
    const { b, peer } = granted();
    b.domain.grants.seed(REF, peer.id, b.domain.allocatePage()!);
    b.domain.grants.acquire(REF, peer.id, true);
    const at = b.put(abi.gnttabDumpTable, { dom: DOMID.SELF });
    expect(b.call(OP, GNTTABOP.DUMP_TABLE, at, 1)).toBe(0);
    expect(b.console[0]).toMatch(/^d1 grant 8: mfn \d+ to d2, 0 reading, 1 writing\n$/);
  });
});

describe('version 2', () => {
  /** Domain 2 grants the caller things under version 2. */
  function second() {
    const { b, peer, mfn } = granted();
    expect(peer.grants.setVersion(2)).toBe(0);
    const { view } = b.machine.ram;
    const entry = (owner: Domain, ref: number) =>
      b.machine.ram.addressOf(owner.grants.frames[0]!.frame) + ref * abi.grantEntryV2.size;
    const write = (
      owner: Domain,
      ref: number,
      values: Parameters<typeof abi.grantEntryV2.encode>[2],
    ) => abi.grantEntryV2.encode(view, entry(owner, ref), values);
    const own = b.domain.allocatePage()!;
    const copy = (source: number, sourceOffset: number, len: number, into = false) => {
      const granted = { domid: 2, value: BigInt(source), offset: sourceOffset };
      const mine = { domid: DOMID.SELF as number, value: BigInt(own), offset: 0 };
      const [from, to] = into ? [mine, granted] : [granted, mine];
      const at = b.put(abi.gnttabCopy, {
        source: from.value,
        sourceDomid: from.domid,
        sourceOffset: from.offset,
        dest: to.value,
        destDomid: to.domid,
        destOffset: to.offset,
        len,
        flags: into ? GNTCOPY.DEST_GREF : GNTCOPY.SOURCE_GREF,
      });
      expect(b.call(OP, GNTTABOP.COPY, at, 1)).toBe(0);
      return b.get(abi.gnttabCopy, at).status;
    };
    const bytes = () => [
      ...b.machine.ram.frameBytes(b.domain.frameMap.lookup(own)!).subarray(0, 4),
    ];
    return { b, peer, mfn, write, copy, bytes };
  }

  const { PERMIT_ACCESS, SUB_PAGE, TRANSITIVE, READONLY } = abi.GTF;

  test('use is shown in the status frames, not in the entry', () => {
    const { b, peer, mfn, write } = second();
    write(peer, REF, { flags: PERMIT_ACCESS, domid: b.domain.id, frame: BigInt(mfn) });
    const { handle } = map(b);
    const status = b.machine.ram.addressOf(peer.grants.statusFrames[0]!.frame) / 2 + REF;
    expect(b.machine.ram.u16[status]).toBe(abi.GTF.READING | abi.GTF.WRITING);
    expect(peer.grants.setVersion(1), 'in use').toBe(-ERRNO.EBUSY);
    expect(unmap(b, handle)).toBe(GNTST.okay);
    expect(b.machine.ram.u16[status]).toBe(0);
    expect(peer.grants.setVersion(1)).toBe(0);
    expect(peer.grants.statusFrames).toHaveLength(0);
  });

  test("the toolstack's grants outlive a change of version, others do not", () => {
    const { peer } = granted();
    peer.grants.seed(1, peer.id, peer.allocatePage()!);
    expect(peer.grants.acquire(1, peer.id, true).status).toBe(GNTST.okay);
    expect(peer.grants.setVersion(2)).toBe(0);
    expect(peer.grants.acquire(1, peer.id, false).status).toBe(GNTST.okay);
    peer.grants.release(1, true);
    peer.grants.release(1, false);
    expect(peer.grants.acquire(REF, peer.id, false).status).toBe(GNTST.general_error);
    expect(peer.grants.setVersion(1)).toBe(0);
    expect(peer.grants.acquire(1, peer.id, false).status).toBe(GNTST.okay);
  });

  // biome-ignore format: one row per copy
  test.each([
    ['the part that is granted',  100, 4, GNTST.okay],
    ['a byte before it',          99,  4, GNTST.general_error],
    ['a byte behind it',          101, 4, GNTST.general_error],
  ])('of a part of a page: %s', (_, offset, length, status) => {
    const { b, peer, mfn, write, copy, bytes } = second();
    b.machine.ram.frameBytes(peer.frameMap.lookup(mfn)!).set([1, 2, 3, 4], 100);
    write(peer, REF, { flags: PERMIT_ACCESS | SUB_PAGE, domid: b.domain.id, first: 100, second: 4, frame: BigInt(mfn) });
    expect(copy(REF, offset, length)).toBe(status);
    expect(bytes()).toEqual(status === GNTST.okay ? [1, 2, 3, 4] : [0, 0, 0, 0]);
    expect(map(b).status, 'parts cannot be mapped').toBe(GNTST.general_error);
    expect(peer.grants.active).toBe(0);
  });

  // biome-ignore format: one row per copy
  test.each([
    ['by its own rights',         3, {},                                  false, GNTST.okay],
    ['for writing, read-only',    3, { flags: TRANSITIVE | READONLY },    true,  GNTST.general_error],
    ['to its own domain',         2, {},                                  false, GNTST.general_error],
    ['to no domain',              9, {},                                  false, GNTST.general_error],
    ['for somebody else',         3, { domid: 3 },                        false, GNTST.general_error],
    ['to a grant that is none',   3, { frame: 9n },                       false, GNTST.general_error],
  ])('a transitive grant %s', (_, first, fields, into, status) => {
    const { b, peer, write, copy, bytes } = second();
    const third = b.newDomain();
    const mfn = third.allocatePage()!;
    third.grants.seed(REF + 2, peer.id, mfn);
    b.machine.ram.frameBytes(third.frameMap.lookup(mfn)!).set([5, 6, 7, 8]);
    write(peer, REF, { flags: TRANSITIVE, domid: b.domain.id, first, frame: BigInt(REF + 2), ...fields });
    expect(copy(REF, 0, 4, into)).toBe(status);
    if (status === GNTST.okay) expect(bytes()).toEqual([5, 6, 7, 8]);
    expect(map(b).status, 'it cannot be mapped').toBe(GNTST.general_error);
    expect(third.grants.active).toBe(0);
  });

  test('two transitive grants in a row are refused', () => {
    const { b, peer, write, copy } = second();
    const third = b.newDomain();
    third.grants.setVersion(2);
    write(third, REF, { flags: TRANSITIVE, domid: peer.id, first: b.domain.id, frame: 1n });
    write(peer, REF, {
      flags: TRANSITIVE,
      domid: b.domain.id,
      first: third.id,
      frame: BigInt(REF),
    });
    expect(copy(REF, 0, 4)).toBe(GNTST.general_error);
  });

  test('a frame of status words for each eight frames', () => {
    const { b, peer } = second();
    expect(peer.grants.grow(4)).toBe(true);
    expect(peer.grants.statusFrames).toHaveLength(1);
    expect(b.domain.grants.setVersion(2)).toBe(0);
    const list = b.room(16);
    const get = (nrFrames: number, dom: number = DOMID.SELF, frameList = BigInt(list)) => {
      const at = b.put(abi.gnttabGetStatusFrames, { dom, nrFrames, frameList });
      expect(b.call(OP, GNTTABOP.GET_STATUS_FRAMES, at, 1)).toBe(0);
      return b.get(abi.gnttabGetStatusFrames, at).status;
    };
    expect([get(1), get(2), get(1, 77), get(1, 2), get(1, DOMID.SELF, 1n << 62n)]).toEqual([
      GNTST.okay,
      GNTST.general_error,
      GNTST.bad_domain,
      GNTST.permission_denied,
      GNTST.bad_virt_addr,
    ]);
    expect(b.number(list)).toBe(b.domain.grants.statusFrames[0]!.mfn);
  });
});

describe('transfer', () => {
  /** The caller has a page and domain 2 an entry that accepts one from it. */
  function offered() {
    const b = new CallBench();
    const taker = b.newDomain();
    const at = b.machine.ram.addressOf(taker.grants.frames[0]!.frame) + REF * abi.grantEntryV1.size;
    const entry = {
      flags: abi.GTF.ACCEPT_TRANSFER as number,
      domid: b.domain.id as number,
      frame: 5,
    };
    abi.grantEntryV1.encode(b.machine.ram.view, at, entry);
    const mfn = b.domain.allocatePage()!;
    b.machine.ram.frameBytes(b.domain.frameMap.lookup(mfn)!).set([1, 2, 3]);
    const give = (fields: Partial<ReturnType<typeof abi.gnttabTransfer.decode>> = {}) => {
      const arg = b.put(abi.gnttabTransfer, { mfn: BigInt(mfn), domid: 2, ref: REF, ...fields });
      expect(b.call(OP, GNTTABOP.TRANSFER, arg, 1)).toBe(0);
      return b.get(abi.gnttabTransfer, arg).status;
    };
    const entryNow = () => abi.grantEntryV1.decode(b.machine.ram.view, at);
    return { b, taker, mfn, give, entryNow };
  }

  test('the page changes its owner, with what is in it', () => {
    const { b, taker, mfn, give, entryNow } = offered();
    const frame = b.domain.frameMap.lookup(mfn);
    const [gave, took] = [b.domain.totPages, taker.totPages];
    expect(give()).toBe(GNTST.okay);
    const { flags, frame: arrived } = entryNow();
    expect(flags).toBe(
      abi.GTF.ACCEPT_TRANSFER | abi.GTF.TRANSFER_COMMITTED | abi.GTF.TRANSFER_COMPLETED,
    );
    expect(taker.ownFrame(arrived as Mfn)).toBe(frame);
    expect(b.domain.kindOf(mfn)).toBeUndefined();
    expect([b.domain.totPages, taker.totPages]).toEqual([gave - 1, took + 1]);
    expect([...b.machine.ram.frameBytes(frame!).subarray(0, 3)]).toEqual([1, 2, 3]);
    expect(give(), 'it is gone').toBe(GNTST.bad_page);
  });

  // biome-ignore format: one row per refusal
  test.each([
    ['a page that is not its own', { mfn: 999_999n }, GNTST.bad_page,      0],
    ['a domain that is not there', { domid: 77 },     GNTST.bad_domain,    1],
    ['an entry that accepts none', { ref: REF + 1 },  GNTST.general_error, 1],
    ['a reference beyond the table', { ref: 512 },    GNTST.general_error, 1],
  ])('%s', (_, fields, status, lost) => {
    const { b, taker, give } = offered();
    const [gave, took] = [b.domain.totPages, taker.totPages];
    expect(give(fields)).toBe(status);
    expect([b.domain.totPages, taker.totPages]).toEqual([gave - lost, took]);
  });

  test('a domain at its limit takes no page', () => {
    const { taker, give } = offered();
    taker.maxPages = taker.totPages;
    expect(give()).toBe(GNTST.general_error);
  });
});

test.each(BAD_POINTERS)('a pointer of %o is -EFAULT for every operation', (pointer) => {
  for (const cmd of Object.values(GNTTABOP).filter((number) => number !== GNTTABOP.CACHE_FLUSH)) {
    expect(new CallBench().call(OP, cmd, pointer, 1)).toBe(-ERRNO.EFAULT);
  }
});

test('counts that make no sense', () => {
  const b = new CallBench();
  expect(b.call(OP, GNTTABOP.MAP_GRANT_REF, 0x10000, 0)).toBe(0);
  expect(b.call(OP, GNTTABOP.MAP_GRANT_REF, 0x10000, -1)).toBe(-ERRNO.EINVAL);
  expect(b.call(OP, GNTTABOP.QUERY_SIZE, 0x10000, 2)).toBe(-ERRNO.EINVAL);
  expect(b.call(OP, 99, 0x10000, 1)).toBe(-ERRNO.ENOSYS);
});
