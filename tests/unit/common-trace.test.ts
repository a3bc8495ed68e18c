/** The trace: records in the ring, the reader that never blocks the writer, text. */

import { describe, expect, test } from 'vitest';
import { formatTrace } from '../../dom0/trace-format.js';
import { TraceReader } from '../../dom0/trace-reader.js';
import { Trace } from '../../hypervisor/common/trace.js';
import { LAYOUT } from '../../hypervisor/machine/layout.js';
import * as evtchn from '../../hypervisor/public/event-channel.js';
import * as grant from '../../hypervisor/public/grant-table.js';
import {
  TRACE_ALL,
  TRACE_CLASS,
  TRACE_HEADER_SIZE,
  TRACE_RECORD_SIZE,
  TRACE_RING,
} from '../../hypervisor/public/trace.js';
import { DOMID } from '../../hypervisor/public/xen.js';
import { CallBench } from '../support/call-bench.js';
import { CommonMachine } from '../support/common-machine.js';

const HEAD = { kind: 3, domid: 1, vcpu: 0, op: 0, time: 1 };
const CAPACITY = Math.floor((TRACE_RING.SIZE - TRACE_HEADER_SIZE) / TRACE_RECORD_SIZE);

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
});

describe('reading', () => {
  function ring() {
    const { ram } = new CommonMachine();
    const trace = new Trace(ram);
    const write = (count: number) => {
      for (let n = 0; n < count; n++) {
        trace.begin({ ...HEAD, time: n });
        trace.commit();
      }
    };
    return { ram, trace, write, reader: new TraceReader(ram.u8) };
  }

  test('begins where the reader comes in', () => {
    const { ram, write, reader } = ring();
    write(3);
    const late = new TraceReader(ram.u8);
    write(2);
    expect(reader.read(10).map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5]);
    expect(late.read(10).map(({ seq }) => seq)).toEqual([4, 5]);
    expect(reader.read(10)).toEqual([]);
  });

  test('takes no more than it is asked to, and the rest later', () => {
    const { write, reader } = ring();
    write(5);
    expect(reader.read(2)).toHaveLength(2);
    expect(reader.waiting).toBe(3);
    expect(reader.read(9)).toHaveLength(3);
  });

  test('what was overwritten is counted, and the newest ring full remains', () => {
    const { write, reader } = ring();
    write(CAPACITY + 1000);
    const records = reader.read(Number.POSITIVE_INFINITY);
    expect(records).toHaveLength(CAPACITY);
    expect(records[0]?.seq).toBe(1001);
    expect(reader.dropped).toBe(1000);
  });

  test('nobody listening costs a load and a test', () => {
    const { trace } = ring();
    expect(trace.wants(TRACE_CLASS.event)).toBe(false);
    trace.setMask(TRACE_CLASS.event);
    expect([trace.wants(TRACE_CLASS.event), trace.wants(TRACE_CLASS.mmu)]).toEqual([true, false]);
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
      'd1v0 event_channel_op(send {port=9}) = -EINVAL',
      'd1v0 event_channel_op(99) = -ENOSYS',
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
      expect.stringMatching(/^d1v0 multicall\(calls=0x[0-9a-f]+, count=1\) = 0$/),
    ]);
  });

  test('a call that is preempted says so', () => {
    const lines = traced((b) => {
      b.preemptAfter = 0;
      b.call('console_io', 0, 4096, b.room(4096));
    });
    expect(lines[0]).toMatch(
      /^d1v0 console_io\(write count=4096, buffer=0x[0-9a-f]+\) = \(preempted\)$/,
    );
  });
});
