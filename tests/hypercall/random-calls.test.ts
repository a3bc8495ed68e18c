/** Any arguments, any bytes in guest memory: a handler answers with a number and leaves nothing behind. */

import { expect, test } from 'vitest';
import { TraceReader } from '../../dom0/trace-reader.js';
import { asGrantRef } from '../../hypervisor/machine/types.js';
import { TRACE_ALL } from '../../hypervisor/public/trace.js';
import { CallBench } from '../support/call-bench.js';

/** The calls that need no pv. */
const NAMES = [
  'sched_op_compat',
  'platform_op',
  'memory_op',
  'multicall',
  'set_timer_op',
  'event_channel_op_compat',
  'xen_version',
  'console_io',
  'grant_table_op',
  'vcpu_op',
  'sched_op',
  'event_channel_op',
  'sysctl',
];
const CALLS = 3_000;

/** xorshift32: the same numbers every time. */
function random(seed: number) {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}

/** Numbers that handlers have opinions about. */
function interesting(next: () => number): number {
  const kind = next() % 8;
  if (kind < 3) return next() % 32;
  if (kind < 6) return 0x1_0000 + (next() % 0x1_0000);
  if (kind === 6) return next();
  return next() * 2 ** 21 - 2 ** 52;
}

test.each([1, 2, 3, 4, 5, 6, 7, 8])(
  '%i: thousands of random calls, each refusal with its reason',
  (seed) => {
    const next = random(seed * 0x9e37_79b9);
    const b = new CallBench({ maxPages: 600 });
    b.trace.setMask(TRACE_ALL);
    const reader = new TraceReader(b.machine.ram.u8);
    const free = b.machine.frames.free;
    const peer = b.newDomain();
    const page = peer.allocatePage()!;
    for (let ref = 0; ref < 32; ref++) peer.grants.seed(asGrantRef(ref), b.domain.id, page);
    for (let n = 0; n < CALLS; n++) {
      const words = b.machine.ram.u32.subarray(b.host(0x1_0000) >>> 2, b.host(0x2_0000) >>> 2);
      for (let k = 0; k < 64; k++) words[next() % words.length] = interesting(next);
      b.preemptAfter = next() % 64;
      const name = NAMES[next() % NAMES.length]!;
      // A multicall would reach handlers that need pv.
      if (name === 'multicall') continue;
      b.call(name, ...Array.from({ length: 5 }, () => interesting(next)));
      expect(Number.isSafeInteger(b.rax), `${name} at call ${n}`).toBe(true);
      const [record] = reader.read(9);
      if (b.rax < 0) expect(record?.why, `${name} = ${b.rax} at call ${n}`).not.toEqual([]);
      b.domain.isShutdown = false;
      b.console.length = 0;
      b.machine.log.length = 0;
    }
    peer.destroy();
    b.domain.destroy();
    expect(b.machine.frames.held).toBe(0);
    expect(b.machine.timers.size).toBe(0);
    // Both domains' own frames come back as well: those of the bench's domain were taken before `free` was read.
    expect(b.machine.frames.free).toBeGreaterThan(free);
  },
);
