/** Grant tables, frame pools and domain memory on RAM alone. */

import { describe, expect, test } from 'vitest';
import type { Domain } from '../../hypervisor/common/domain.js';
import { asDomId, asMfn, type Mfn } from '../../hypervisor/machine/types.js';
import { GNTST, GTF, grantEntryV1 } from '../../hypervisor/public/grant-table.js';
import { CommonMachine } from '../support/common-machine.js';

function entryAt(machine: CommonMachine, domain: Domain, ref: number) {
  const at = machine.ram.addressOf(domain.grants.frames[0]!.frame) + ref * grantEntryV1.size;
  return grantEntryV1.decode(machine.ram.view, at);
}

function grantFlags(machine: CommonMachine, domain: Domain, ref: number, flags: number) {
  const at = machine.ram.addressOf(domain.grants.frames[0]!.frame) + ref * grantEntryV1.size;
  grantEntryV1.encode(machine.ram.view, at, { flags });
}

function granted() {
  const machine = new CommonMachine();
  const a = machine.domain();
  const mfn = a.allocatePage()!;
  a.grants.seed(8, asDomId(2), mfn);
  return { machine, a, mfn, b: machine.domain() };
}

describe('granting', () => {
  test('the guest sees who reads and who writes', () => {
    const { machine, a, b } = granted();
    expect(a.grants.acquire(8, b.id, false).status).toBe(GNTST.okay);
    expect(entryAt(machine, a, 8).flags).toBe(GTF.PERMIT_ACCESS | GTF.READING);
    expect(a.grants.acquire(8, b.id, true).status).toBe(GNTST.okay);
    expect(entryAt(machine, a, 8).flags).toBe(GTF.PERMIT_ACCESS | GTF.READING | GTF.WRITING);
    a.grants.release(8, true);
    expect(entryAt(machine, a, 8).flags).toBe(GTF.PERMIT_ACCESS | GTF.READING);
    a.grants.release(8, false);
    expect(entryAt(machine, a, 8).flags).toBe(GTF.PERMIT_ACCESS);
    expect([...machine.references.values()]).toEqual([0]);
  });

  test.each([
    ['a reference beyond the table', 512, false, GNTST.bad_gntref],
    ['a reference of 2^32 - 1', 0xffff_ffff, false, GNTST.bad_gntref],
    ['an entry that grants nothing', 9, false, GNTST.general_error],
  ])('%s is refused', (_, ref, write, status) => {
    const { a, b } = granted();
    expect(a.grants.acquire(ref, b.id, write).status).toBe(status);
  });

  test('another domain is refused', () => {
    const { a } = granted();
    expect(a.grants.acquire(8, asDomId(3), false).status).toBe(GNTST.general_error);
  });

  test('a read-only entry cannot be written', () => {
    const { machine, a, b } = granted();
    grantFlags(machine, a, 8, GTF.PERMIT_ACCESS | GTF.READONLY);
    expect(a.grants.acquire(8, b.id, true).status).toBe(GNTST.general_error);
    expect(a.grants.acquire(8, b.id, false).status).toBe(GNTST.okay);
  });

  test('a page table cannot be granted for writing', () => {
    const { machine, a, b, mfn } = granted();
    machine.tables.add(mfn);
    expect(a.grants.acquire(8, b.id, true).status).toBe(GNTST.bad_page);
    expect(a.grants.active).toBe(0);
  });

  test('an MFN that is not memory of the domain is refused', () => {
    const { a, b } = granted();
    a.grants.seed(10, b.id, a.sharedInfo.mfn);
    a.grants.seed(11, b.id, asMfn(0xffff_ffff));
    expect(a.grants.acquire(10, b.id, false).status).toBe(GNTST.bad_page);
    expect(a.grants.acquire(11, b.id, false).status).toBe(GNTST.bad_page);
  });

  test('the entry of a mapping in use keeps its frame when the guest changes it', () => {
    const { a, b, mfn } = granted();
    const first = a.grants.acquire(8, b.id, false);
    const other = a.allocatePage()!;
    a.grants.seed(8, b.id, other);
    expect(a.grants.acquire(8, b.id, false)).toEqual(first);
    expect(first).toMatchObject({ frame: a.frameMap.lookup(mfn) });
  });

  test('the table grows to its limit', () => {
    const { a } = granted();
    expect(a.grants.grow(4)).toBe(true);
    expect(a.grants.grow(5)).toBe(false);
    expect(a.grants.frames).toHaveLength(4);
  });
});

describe('aliases and frames that outlive their domain', () => {
  test('the same frame has one alias, however often it is mapped', () => {
    const { a, b, mfn } = granted();
    const frame = a.frameMap.lookup(mfn)!;
    const alias = b.alias(frame)!;
    expect(b.alias(frame)).toBe(alias);
    expect(b.kindOf(alias)).toBe('alias');
    expect(b.ownFrame(alias)).toBeUndefined();
    b.dropAlias(alias);
    expect(b.frameMap.lookup(alias)).toBe(frame);
    b.dropAlias(alias);
    expect(b.frameMap.lookup(alias)).toBeUndefined();
  });

  test('a frame mapped elsewhere stays until it is unmapped', () => {
    const machine = new CommonMachine();
    const before = machine.frames.free;
    const a = machine.domain();
    const b = machine.domain();
    const mfn = a.allocatePage()!;
    const alias = b.alias(a.frameMap.lookup(mfn)!)!;
    const held = machine.frames.free;
    a.destroy();
    const without = machine.frames.free;
    b.dropAlias(alias);
    expect(machine.frames.free).toBe(without + 1);
    b.destroy();
    expect(machine.frames.free).toBe(before);
    expect(held).toBeLessThan(without);
  });

  test('a domain that dies ends the mappings it has of others', () => {
    const { machine, a, b, mfn } = granted();
    const grant = a.grants.acquire(8, b.id, true);
    expect(grant.status).toBe(GNTST.okay);
    const frame = a.frameMap.lookup(mfn)!;
    b.grants.maptrack.add({
      granter: a.grants,
      ref: 8,
      write: true,
      frame,
      alias: b.alias(frame),
      flags: 0,
      hostMapped: true,
      deviceMapped: false,
    });
    b.destroy();
    expect(entryAt(machine, a, 8).flags).toBe(GTF.PERMIT_ACCESS);
    expect(machine.frames.held).toBe(0);
  });

  test('every frame comes back, a thousand times', () => {
    const machine = new CommonMachine();
    const before = machine.frames.free;
    for (let n = 0; n < 1000; n++) {
      const domain = machine.domain({ maxPages: 256 });
      for (let page = 0; page < 200; page++) domain.allocatePage();
      domain.destroy();
      for (const vcpu of domain.vcpus) machine.scheduler.remove(vcpu);
    }
    expect(machine.frames.free).toBe(before);
  });
});

describe('reservations', () => {
  test('MFNs are not PFNs, none is 0, none is given twice', () => {
    const domain = new CommonMachine().domain({ maxPages: 2048 });
    const mfns = Array.from({ length: 2048 }, () => domain.allocatePage()!);
    expect(new Set(mfns).size).toBe(2048);
    expect(mfns.includes(asMfn(0))).toBe(false);
    expect(mfns.filter((mfn, pfn) => mfn === pfn).length).toBeLessThan(8);
    expect(domain.allocatePage()).toBeUndefined();
  });

  test('a block is in a row and aligned', () => {
    const domain = new CommonMachine().domain({ maxPages: 1024 });
    const base = domain.allocateBlock(9)!;
    expect(base % 512).toBe(0);
    for (let n = 0; n < 512; n++) expect(domain.kindOf(asMfn(base + n))).toBe('ram');
    expect(domain.totPages).toBe(512);
    const single: Mfn[] = [];
    for (let n = 0; n < 512; n++) single.push(domain.allocatePage()!);
    expect(new Set(single).size).toBe(512);
    expect(domain.allocatePage()).toBeUndefined();
  });

  test('pages given up are used again', () => {
    const machine = new CommonMachine();
    const domain = machine.domain({ maxPages: 8 });
    const mfns = Array.from({ length: 8 }, () => domain.allocatePage()!);
    const free = machine.frames.free;
    for (const mfn of mfns) domain.releasePage(mfn);
    expect(machine.frames.free).toBe(free + 8);
    for (let n = 0; n < 8; n++) expect(domain.allocatePage()).toBeDefined();
  });
});
