/** What a refused request says of itself: the rule it broke, the figures, and who holds what it wanted. */

import { describe, expect, test } from 'vitest';
import { formatTrace } from '../../dom0/trace-format.js';
import { TraceReader } from '../../dom0/trace-reader.js';
import * as arch from '../../hypervisor/public/arch-x86.js';
import * as evtchn from '../../hypervisor/public/event-channel.js';
import * as grant from '../../hypervisor/public/grant-table.js';
import * as memory from '../../hypervisor/public/memory.js';
import * as sched from '../../hypervisor/public/sched.js';
import { TRACE_ALL } from '../../hypervisor/public/trace.js';
import * as vcpu from '../../hypervisor/public/vcpu.js';
import { MMUEXT } from '../../hypervisor/public/xen.js';
import { CallBench } from '../support/call-bench.js';
import { Harness } from '../support/hypervisor-harness.js';
import { BASE, PvMachine, pte } from '../support/pv-machine.js';

const RO = 0x61;
const RW = 0x63;
const SELF = 0x7ff0;

const update = (m: PvMachine, entry: bigint): number =>
  m.call('update_va_mapping', m.spare(0).va, entry, 2);

describe('requests about page tables', () => {
  // biome-ignore format: one row per refused request
  test.each<[string, (m: PvMachine) => unknown, string]>([
    ['a live table mapped writable',   (m) => update(m, pte(m.v.kernelTable, RW)),        'bad type \\(saw l4 != expected writable\\) for mfn 0x[0-9a-f]+ of d1, type count 2, references 4: a page table in use may be mapped read-only only; held by its pin, cr3 of d1v0, slot 0x[0-9a-f]+ of L1 mfn 0x[0-9a-f]+ \\(read-only\\)'],
    ['the entry that was wanted',      (m) => update(m, pte(m.v.kernelTable, RW)),        'it is entry 00000000[0-9a-f]{5}063 for slot 0x0 of L1 mfn'],
    ['cache attributes',               (m) => update(m, pte(m.spare(0).mfn, RW | 0x18)),  'bad L1 flags 0x18 in entry [0-9a-f]{16}: PWT, PCD and PAT are for domains with devices'],
    ['a frame of nobody',              (m) => update(m, pte(0xf_0000, RO)),               'mfn 0xf0000 is not a frame of d1, whose mfns end below 0x2000'],
    ['an address without a table',     (m) => m.call('update_va_mapping', 0x1000, 0, 0),  'there is no L1 table for 0x1000 under L4 mfn 0x[0-9a-f]+'],
    ["an address in Xen's range",      (m) => m.call('update_va_mapping', -0x8000_0000_0000, 0, 0), "0xffff800000000000 is in Xen's range"],
    ['pinning what is writable',       (m) => m.mmuext(MMUEXT.PIN_L1_TABLE, m.spare(0).mfn), 'bad type \\(saw writable != expected l1\\) .* type count 1, references 2: a page table must have no writable mapping; held by slot 0x0 of L1 mfn 0x[0-9a-f]+ \\(writable\\)'],
    ['a table of another level',       (m) => m.mmuext(MMUEXT.PIN_L2_TABLE, m.v.kernelTable), 'saw l4 != expected l2.*a page table is of one level only'],
    ['pinning twice',                  (m) => m.mmuext(MMUEXT.PIN_L4_TABLE, m.v.kernelTable), 'mfn 0x[0-9a-f]+ of d1 is pinned already'],
    ['unpinning what is not pinned',   (m) => m.mmuext(MMUEXT.UNPIN_TABLE, m.spare(0).mfn), 'is not pinned'],
    ['a base that is no table',        (m) => m.mmuext(MMUEXT.NEW_BASEPTR, m.spare(0).mfn), 'saw writable != expected l4'],
    ["Xen's slots",                    (m) => m.mmuUpdate(m.v.kernelTable * 4096 + 256 * 8, 0n), "L4 slot 0x100 is Xen's"],
    ['an entry across two',            (m) => m.mmuUpdate(m.v.kernelTable * 4096 + 4, 0n), 'offset 0x4 in mfn 0x[0-9a-f]+ is not aligned to the 8 bytes of an entry'],
    ['another domain',                 (m) => m.mmuUpdate(0, 0n, 77),                     'there is no d77'],
    ['device memory',                  (m) => m.mmuUpdate(0, 0n, 0x7ff1),                 'DOMID_IO names device memory, and d1 has no devices'],
    ['a list that cannot be read',     (m) => m.call('mmu_update', 0x1000, 1, 0, SELF),   '0x1000 cannot be read: it is not mapped'],
    ['which of a batch',               (m) => m.call('mmu_update', m.put(m.v.kernelTable * 4096 + 300 * 8, 0, 0xf_0000 * 4096, 0), 2, 0, SELF), 'mfn 0xf0000 is not a frame of d1.*request 1 of 2'],
    ['an LDT inside a page',           (m) => m.mmuext(MMUEXT.SET_LDT, BASE + 8, 1),      'an LDT begins at a page'],
    ['a superpage',                    (m) => m.mmuext(MMUEXT.MARK_SUPER, 1),             'superpages are not offered'],
    ['flushing caches',                (m) => m.mmuext(MMUEXT.FLUSH_CACHE, 1),            'domains with devices'],
    ['a GDT that is too long',         (m) => m.call('set_gdt', m.put(1), 8000),          `a GDT has at most ${arch.FIRST_RESERVED_GDT_ENTRY} entries, not 8000`],
    ['a GDT on a page that is written', (m) => m.call('set_gdt', m.put(m.spare(0).mfn), 8), 'saw writable != expected seg_desc.*a descriptor table must have no writable mapping'],
    ['a descriptor of a TSS',          (m) => m.call('update_descriptor', m.spare(0).mfn * 4096, 0x0000_8900_0000_0067n), 'descriptor 0x0 of mfn 0x[0-9a-f]+ is 0000890000000067: of system descriptors guests may have call gates'],
    ['a segment base in no half',      (m) => m.call('set_segment_base', 0, 1n << 63n),   'the base is not canonical'],
    ['a debug register of Xen',        (m) => m.call('set_debugreg', 0, 0xffff_8000_0000_0000n), "DR0 = 0xffff800000000000: addresses are not in Xen's range"],
    ['no debug register',              (m) => m.call('get_debugreg', 9),                  'there is no debug register 9'],
    ['an assistance',                  (m) => m.call('vm_assist', 0, 77),                 'there is no assistance 77'],
    ['a trap handler',                 (m) => m.call('set_trap_table', m.put(3, 1n << 63n)), 'the handler of vector 3 is not canonical'],
    ['a callback',                     (m) => m.call('callback_op', 0, m.put(0, 1n << 63n)), 'the address of callback 0 is not canonical'],
    ['a context without a kernel',     (m) => m.call('vcpu_op', 0, 1, m.spare(0).va),     'VGCF_in_kernel must be set'],
  ])('%s', (_, act, pattern) => {
    const m = new PvMachine();
    m.trace.setMask(TRACE_ALL);
    act(m);
    expect(m.explanations.join('; ')).toMatch(new RegExp(pattern));
    expect(m.wrongCounts()).toEqual([]);
  });

  test('a page that another domain has mapped by a grant names the grant', () => {
    const m = new PvMachine();
    const { mfn } = m.spare(0);
    expect(m.writeProtect(m.spare(0))).toBe(0);
    m.domain.grants.seed(8, m.domain.id, mfn);
    expect(m.domain.grants.acquire(8, m.domain.id, true).status).toBe(0);
    m.mmuext(MMUEXT.PIN_L1_TABLE, mfn);
    expect(m.explanations.join()).toMatch(
      /held by grant 8 to d1 \(0 reading, 1 writing\), slot 0x0 of L1 mfn 0x[0-9a-f]+ \(read-only\)/,
    );
  });

  test('more holders than anybody would read are counted', () => {
    const m = new PvMachine();
    const { mfn } = m.spare(0);
    for (let n = 1; n < 8; n++) {
      expect(m.call('update_va_mapping', m.spare(n).va, pte(mfn, RW), 2)).toBe(0);
    }
    m.mmuext(MMUEXT.PIN_L1_TABLE, mfn);
    expect(m.explanations.join()).toMatch(/\(writable\), 4 more entries/);
  });
});

describe('other requests', () => {
  const put = (b: CallBench, op: number, layout: Parameters<CallBench['put']>[0], fields: object) =>
    b.call('event_channel_op', op, b.put(layout, fields as never));
  const gnttab = (
    b: CallBench,
    op: number,
    layout: Parameters<CallBench['put']>[0],
    fields: object,
  ) => b.call('grant_table_op', op, b.put(layout, fields as never), 1);
  const { EVTCHNOP } = evtchn;
  const { GNTTABOP } = grant;
  const { VCPUOP } = vcpu;

  // biome-ignore format: one row per refused request
  test.each<[string, (b: CallBench) => unknown, string]>([
    ['a port that is closed',         (b) => put(b, EVTCHNOP.SEND, evtchn.evtchnSend, { port: 9 }), '= -EINVAL \\(d1 port 9 is closed\\)'],
    ['a port of a VIRQ',              (b) => { b.domain.events.bindVirq(0, 0); put(b, EVTCHNOP.SEND, evtchn.evtchnSend, { port: 1 }); }, 'd1 port 1 VIRQ 0'],
    ['a port for somebody else',      (b) => { b.domains.get(2)!.events.allocateUnbound(7); put(b, EVTCHNOP.BIND_INTERDOMAIN, evtchn.evtchnBindInterdomain, { remoteDom: 2, remotePort: 1 }); }, 'd2 port 1 waits for d7: it does not wait for d1'],
    ['a VIRQ that is bound',          (b) => { b.domain.events.bindVirq(0, 0); put(b, EVTCHNOP.BIND_VIRQ, evtchn.evtchnBindVirq, { virq: 0, vcpu: 0 }); }, 'VIRQ 0 of vCPU 0 is bound to port 1 already'],
    ['a vCPU that is not there',      (b) => put(b, EVTCHNOP.BIND_IPI, evtchn.evtchnBindIpi, { vcpu: 7 }), 'd1 has 3 vCPUs, none is vCPU 7'],
    ['ports of others',               (b) => put(b, EVTCHNOP.RESET, evtchn.evtchnReset, { dom: 2 }), 'd1 is not privileged: it may act on itself only, not on d2'],
    ['FIFO without a control block',  (b) => put(b, EVTCHNOP.EXPAND_ARRAY, evtchn.evtchnExpandArray, { arrayGfn: 1n }), 'EVTCHNOP_init_control comes first'],
    ['a control block nowhere',       (b) => put(b, EVTCHNOP.INIT_CONTROL, evtchn.evtchnInitControl, { controlGfn: 999n }), 'not at 0x0 in mfn 0x3e7'],
    ['a grant beyond the table',      (b) => gnttab(b, GNTTABOP.MAP_GRANT_REF, grant.gnttabMapGrantRef, { flags: 2, ref: 512, dom: 2 }), 'd2 has no grant 512: its table ends below 512'],
    ['a grant for somebody else',     (b) => { b.domains.get(2)!.grants.seed(8, 7 as never, 1 as never); gnttab(b, GNTTABOP.MAP_GRANT_REF, grant.gnttabMapGrantRef, { flags: 2, ref: 8, dom: 2 }); }, 'grant 8 is for d7, not d1'],
    ['a handle of no grant',          (b) => gnttab(b, GNTTABOP.UNMAP_GRANT_REF, grant.gnttabUnmapGrantRef, { handle: 3, hostAddr: 4096n }), 'd1 has mapped no grant under handle 3'],
    ['a copy out of the page',        (b) => gnttab(b, GNTTABOP.COPY, grant.gnttabCopy, { len: 4000, sourceOffset: 200 }), 'a copy stays within a page: 4000 bytes from 200'],
    ['a table that is too long',      (b) => gnttab(b, GNTTABOP.SETUP_TABLE, grant.gnttabSetupTable, { dom: SELF, nrFrames: 99 }), '99 grant frames: d1 may have 4'],
    ['a version of grants',           (b) => gnttab(b, GNTTABOP.SET_VERSION, grant.gnttabSetVersion, { version: 3 }), 'there is no version 3 of the grant table'],
    ['more memory than the ceiling',  (b) => b.call('memory_op', memory.XENMEM.INCREASE_RESERVATION, b.put(memory.xenMemoryReservation, { domid: SELF, nrExtents: 100n } as never)), 'd1 has 64 of at most 64 pages: 1 more are too many; extent 64 of 100 is not done'],
    ['extents that are too large',    (b) => b.call('memory_op', memory.XENMEM.INCREASE_RESERVATION, b.put(memory.xenMemoryReservation, { domid: SELF, nrExtents: 1n, extentOrder: 20 } as never)), 'extents of order 20: the most is'],
    ['memory of others',              (b) => b.call('memory_op', memory.XENMEM.CURRENT_RESERVATION, b.putNumbers(77)), 'there is no d77'],
    ['the machine memory map',        (b) => b.call('memory_op', memory.XENMEM.MACHINE_MEMORY_MAP, b.room(64)), 'for the hardware domain'],
    ['a shutdown reason',             (b) => b.call('sched_op', 2, b.putNumbers(99)), 'there is no shutdown reason 99'],
    ['a port to wait for',            (b) => b.call('sched_op', 3, b.put(sched.schedPoll, { ports: BigInt(b.putNumbers(0xf_ffff)), nrPorts: 1 } as never)), 'port 1048575: ports of d1 end below'],
    ['a watchdog that is not set',    (b) => b.call('sched_op', 6, b.put(sched.schedWatchdog, { id: 2, timeout: 5 } as never)), 'watchdog 2 is not set'],
    ['a vCPU to ask about',           (b) => b.call('vcpu_op', VCPUOP.IS_UP, 9), 'd1 has 3 vCPUs, none is vCPU 9'],
    ['a vCPU that was never set up',  (b) => b.call('vcpu_op', VCPUOP.UP, 2), 'VCPUOP_initialise comes first'],
    ['a timer of another vCPU',       (b) => b.call('vcpu_op', VCPUOP.SET_SINGLESHOT_TIMER, 1, b.room(16)), 'vCPU 0 sets its own single-shot timer'],
    ['a time that is past',           (b) => { b.machine.clock.advance(5000); b.call('vcpu_op', VCPUOP.SET_SINGLESHOT_TIMER, 0, b.put(vcpu.vcpuSetSingleshotTimer, { timeoutAbsNs: 1n, flags: 1 } as never)); }, '1 ns is past: the system time is \\d+ ns'],
    ['a period that is too short',    (b) => b.call('vcpu_op', VCPUOP.SET_PERIODIC_TIMER, 0, b.putNumbers(1)), 'ns at least, not 1'],
    ['a vcpu_info across pages',      (b) => b.call('vcpu_op', VCPUOP.REGISTER_VCPU_INFO, 0, b.put(vcpu.vcpuRegisterVcpuInfo, { mfn: 1n, offset: 4090 } as never)), 'offset 0xffa in mfn 0x1: vcpu_info is aligned to 8 and within a page'],
    ['a command of the control domain', (b) => b.call('sysctl', b.room(64)), 'sysctl is for the control domain: d1 is not privileged'],
    ['the console of Xen',            (b) => b.call('console_io', 1, 4, b.room(8)), 'd1 is not privileged: Xen reads its console'],
    ['a call that there is not',      (b) => b.call('sched_op', 99, 0), 'there is no sched_op\\(99\\) here'],
    ['physical interrupts',           (b) => b.call('physdev_op', 5, b.room(16)), 'there are no physical IRQs|no devices'],
    ['a multicall in a multicall',    (b) => b.call('multicall', b.putNumbers(13, 0, 0, 0, 0, 0, 0, 0), 1), 'a multicall may not be in a multicall'],
    ['a pointer to nothing',          (b) => b.call('sched_op', 2, 0x7fff_0000), '= -EFAULT \\(0x7fff0000 cannot be read: it is not mapped\\)'],
    ["a pointer into Xen's range",    (b) => b.call('xen_version', 1, -0x8000_0000_0000), "0xffff800000000000 is in Xen's range"],
    ['a pointer that is none',        (b) => b.call('console_io', 0, 4, Number.NaN), 'a pointer is not a canonical address'],
  ])('%s', (_, act, pattern) => {
    const b = new CallBench();
    b.newDomain();
    b.trace.setMask(TRACE_ALL);
    const reader = new TraceReader(b.machine.ram.u8);
    act(b);
    const lines = reader.read(9).map((record) => formatTrace(record));
    expect(lines.join('\n')).toMatch(new RegExp(pattern));
  });
});

describe('a guest that asks for anything', () => {
  test.each(['hostile-random-hypercalls', 'hostile-pte-everywhere', 'hostile-writable-tables'])(
    '%s is never refused without a reason',
    (kernel) => {
      const h = new Harness();
      h.traceOn();
      h.create(kernel, { memoryPages: 2048 });
      let refused = 0;
      const mute = new Set<string>();
      h.runUntil(() => {
        for (const { result = 0, why, name, op, errno } of h.traceEvents()) {
          if (result < 0) refused++;
          if (result < 0 && why.length === 0) mute.add(`${name}(${op}) = -${errno}`);
        }
        return refused > 2000;
      }, 5000);
      expect(refused).toBeGreaterThan(0);
      expect([...mute]).toEqual([]);
    },
  );
});
