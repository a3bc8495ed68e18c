/** The trace: records in the ring, the reader that never blocks the writer, text. */

import { describe, expect, test } from 'vitest';
import { decodeTrace, formatTrace } from '../../dom0/trace-format.js';
import { TraceReader } from '../../dom0/trace-reader.js';
import { Trace, type TraceSelection } from '../../hypervisor/common/trace.js';
import { LAYOUT } from '../../hypervisor/machine/layout.js';
import * as evtchn from '../../hypervisor/public/event-channel.js';
import * as grant from '../../hypervisor/public/grant-table.js';
import {
  TRACE_ALL,
  TRACE_CLASS,
  TRACE_HEAD_SIZE,
  TRACE_HEADER_SIZE,
  TRACE_KIND,
  TRACE_RING,
  TRACE_UNIT,
  TRACE_UNITS,
} from '../../hypervisor/public/trace.js';
import { DOMID } from '../../hypervisor/public/xen.js';
import { CallBench } from '../support/call-bench.js';
import { CommonMachine } from '../support/common-machine.js';

const HEAD = { kind: 3, domid: 1, vcpu: 0, op: 0, time: 1 };
/** Records without payload that the ring holds, at most. */
const CAPACITY = Math.floor((TRACE_UNITS * TRACE_UNIT) / TRACE_HEAD_SIZE);

/** What a call looks like in the trace, without its duration. */
function traced(act: (b: CallBench) => unknown): string[] {
  const b = new CallBench();
  b.newDomain();
  b.trace.setMask(TRACE_ALL);
  const reader = new TraceReader(b.machine.ram.u8);
  act(b);
  return reader.read(100).map((record) => formatTrace(record).replace(/ <.*/, ''));
}

test('the ring lies where the layout has room for it', () => {
  expect([TRACE_RING.ADDRESS, TRACE_RING.SIZE]).toEqual([
    LAYOUT.TRACE,
    LAYOUT.FRAME_INFO - LAYOUT.TRACE,
  ]);
  expect(TRACE_HEADER_SIZE + TRACE_UNITS * TRACE_UNIT).toBeLessThanOrEqual(TRACE_RING.SIZE);
});

describe('the ring', () => {
  function ring() {
    const { ram } = new CommonMachine();
    const trace = new Trace(ram);
    trace.setMask(TRACE_ALL);
    const write = (count: number, payload = 0) => {
      const bytes = new Uint8Array(payload).fill(7);
      for (let n = 0; n < count; n++) {
        if (!trace.begin({ ...HEAD, time: n }, payload)) continue;
        trace.setInput(bytes, payload);
        trace.commit();
      }
    };
    return { ram, trace, write, reader: new TraceReader(ram.u8) };
  }
  const numbers = (records: readonly { seq: number }[]) => records.map(({ seq }) => seq);

  test('a reader begins where it comes in', () => {
    const { ram, write } = ring();
    write(3);
    const late = new TraceReader(ram.u8);
    write(2);
    expect(numbers(late.read(10))).toEqual([4, 5]);
    expect(late.read(10)).toEqual([]);
    expect(late.dropped).toBe(0);
  });

  test('a reader takes no more than it asked for, and the rest later', () => {
    const { write, reader } = ring();
    write(5);
    expect(reader.read(2)).toHaveLength(2);
    expect(reader.fill).toBeGreaterThan(0);
    expect(reader.read(9)).toHaveLength(3);
    expect(reader.fill).toBe(0);
  });

  test.each([0, 8, 100, 1024])(
    'records with %i bytes go round the end of the ring whole',
    (payload) => {
      const { trace, write, reader } = ring();
      const input = new Uint8Array(payload).fill(7);
      let read = 0;
      while (read < CAPACITY + 100) {
        write(50, payload);
        trace.writeText({ ...HEAD, kind: TRACE_KIND.DOMAIN }, `after ${read}`);
        const records = reader.read(100);
        expect(records).toHaveLength(51);
        expect(records[50]).toMatchObject({ text: `after ${read}`, seq: read + 51 });
        read += records.length;
      }
      expect(input).toHaveLength(payload);
      expect(reader.dropped).toBe(0);
    },
  );

  test('a full ring keeps what it has, drops what comes, and says how much and where', () => {
    const { trace, write, reader } = ring();
    write(CAPACITY + 1000);
    const kept = reader.read(Number.POSITIVE_INFINITY);
    expect(numbers(kept)).toEqual(kept.map((_, n) => n + 1));
    expect(kept.length).toBeGreaterThan(CAPACITY * 0.95);
    expect(reader.dropped).toBe(0);
    write(2);
    expect(numbers(reader.read(10))).toEqual([CAPACITY + 1001, CAPACITY + 1002]);
    expect(reader.dropped).toBe(CAPACITY + 1000 - kept.length);
    expect(trace.hasRoom()).toBe(true);
  });

  test('drops that nothing follows are found as well', () => {
    const { write, reader } = ring();
    write(CAPACITY + 1000);
    const kept = reader.read(Number.POSITIVE_INFINITY);
    expect(reader.read(10)).toEqual([]);
    expect(reader.dropped).toBe(CAPACITY + 1000 - kept.length);
    expect(reader.read(10)).toEqual([]);
    expect(reader.dropped).toBe(CAPACITY + 1000 - kept.length);
  });

  test('a loss stands between two batches, never within one', () => {
    const { write, reader } = ring();
    write(CAPACITY + 1000);
    const first = reader.read(CAPACITY / 2);
    write(10);
    const second = reader.read(Number.POSITIVE_INFINITY);
    expect(reader.dropped).toBe(0);
    const third = reader.read(Number.POSITIVE_INFINITY);
    expect(third).toHaveLength(10);
    expect(reader.dropped).toBe(CAPACITY + 1000 - first.length - second.length);
  });

  test('nobody reading costs no more than the ring', () => {
    const { trace } = ring();
    for (let n = 0; n < 2 * CAPACITY; n++) if (trace.begin(HEAD, 0)) trace.commit();
    expect(trace.hasRoom()).toBe(false);
  });
});

describe('what is written', () => {
  const write = (select: TraceSelection, act: (b: CallBench) => void): string[] => {
    const b = new CallBench();
    b.trace.select(select);
    const reader = new TraceReader(b.machine.ram.u8);
    act(b);
    return reader.read(100).map(({ op, domid }) => `d${domid} ${op}`);
  };
  const both = (b: CallBench) => {
    b.call('xen_version', 0);
    b.call('sched_op', 0);
  };
  // biome-ignore format: one row per selection
  test.each<[string, TraceSelection, string[]]>([
    ['nothing',                { mask: 0 },                            []],
    ['everything',             { mask: TRACE_ALL },                    ['d1 17', 'd1 29']],
    ['a class',                { mask: TRACE_CLASS.sched },            ['d1 29']],
    ['a call',                 { mask: TRACE_ALL, calls: [17] },       ['d1 17']],
    ['a call of other class',  { mask: TRACE_CLASS.sched, calls: [17] }, []],
    ['other domains',          { mask: TRACE_ALL, except: [1] },       []],
    ['all domains but others', { mask: TRACE_ALL, except: [2, 3] },    ['d1 17', 'd1 29']],
  ])('%s', (_, selection, records) => {
    expect(write(selection, both)).toEqual(records);
  });

  test('the class decides for what is no call', () => {
    const { trace } = new CallBench();
    expect(trace.wants(TRACE_CLASS.event, 1)).toBe(false);
    trace.select({ mask: TRACE_CLASS.event, except: [2] });
    expect([1, 2].map((domid) => trace.wants(TRACE_CLASS.event, domid))).toEqual([true, false]);
    expect(trace.wants(TRACE_CLASS.mmu, 1)).toBe(false);
  });
});

describe('text', () => {
  const SELF = DOMID.SELF;

  test('an event channel', () => {
    const lines = traced((b) => {
      const at = b.put(evtchn.evtchnAllocUnbound, { dom: SELF, remoteDom: 0 });
      b.call('event_channel_op', 6, at);
      b.call('event_channel_op', 4, b.put(evtchn.evtchnSend, { port: 9 }));
      b.call('event_channel_op', 99, 0);
    });
    expect(lines).toEqual([
      'd1v0 event_channel_op(alloc_unbound {dom=SELF, remote_dom=0}) = 0 {port=1}',
      'd1v0 event_channel_op(send {port=9}) = -EINVAL (d1 port 9 is closed)',
      'd1v0 event_channel_op(99) = -ENOSYS (there is no event_channel_op(99) here)',
    ]);
  });

  test('a grant that is refused, and why', () => {
    const [line] = traced((b) => {
      const fields = { hostAddr: 0x40_0000n, flags: 2, ref: 77, dom: 2 };
      b.call('grant_table_op', 0, b.put(grant.gnttabMapGrantRef, fields), 1);
    });
    expect(line).toBe(
      'd1v0 grant_table_op(map_grant_ref {dom=2, ref=77, flags=0x2, host_addr=0x400000}) = 0 ' +
        '{status=general_error, handle=0, dev_bus_addr=0x0} (grant 77: flags 0 do not permit access)',
    );
  });

  test('a call through the hypercall page names who called it, by symbol where there is one', () => {
    const b = new CallBench();
    b.trace.setMask(TRACE_ALL);
    const reader = new TraceReader(b.machine.ram.u8);
    // rcx and r11, put there by the stub, and the address it returns to.
    b.lo[4] = b.putNumbers(1, 2, 0x4711);
    for (const rip of [0x1000 + 17 * 32 + 10, 0x1000]) {
      b.rip = rip;
      b.call('xen_version', 0);
    }
    b.lo[4] = 0x7fff_0000; // a stack that cannot be read
    b.rip = 0x1000 + 17 * 32 + 10;
    b.call('xen_version', 0);
    const names = (domid: number, address: bigint) =>
      address === 0x4711n ? `main_of_d${domid}+0x11` : undefined;
    const [paged, plain, lost] = reader.read(9).map((record) => decodeTrace(record, names));
    expect(paged).toMatchObject({ rip: '0x122a', caller: '0x4711', symbol: 'main_of_d1+0x11' });
    expect(paged?.text).toMatch(/> @0x4711 main_of_d1\+0x11$/);
    expect(plain?.text).toMatch(/> @0x1000$/);
    for (const record of [plain, lost]) expect(record).not.toHaveProperty('caller');
  });

  test('why is kept when the mask has only the class of the call', () => {
    const b = new CallBench();
    b.trace.setMask(TRACE_CLASS.sched);
    const reader = new TraceReader(b.machine.ram.u8);
    b.call('xen_version', 0);
    b.call('sched_op', 0);
    expect(reader.read(9).map((record) => formatTrace(record).replace(/ <.*/, ''))).toEqual([
      'd1v0 sched_op(yield) = 0',
    ]);
  });

  test('calls inside a multicall stand before it', () => {
    const lines = traced((b) => b.call('multicall', b.putNumbers(17, 0, 0, 0, 0, 0, 0, 0), 1));
    expect(lines).toEqual([
      'd1v0 xen_version(version) = 0x40011',
      'd1v0 multicall(xen_version(0x0, 0x0)) = 0 {result=262161}',
    ]);
  });

  test('a call that is preempted says so', () => {
    const lines = traced((b) => {
      b.preemptAfter = 0;
      b.call('console_io', 0, 4096, b.room(4096));
    });
    expect(lines[0]).toBe('d1v0 console_io(write count=4096, "") = (preempted)');
  });
});
