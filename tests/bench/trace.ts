/**
 * What watching costs: a guest that does nothing but null hypercalls, unwatched, watched, and watched through filters. Each round
 * measures all of them, so that each ratio is taken of neighbours; and in what order changes from round to round.
 */

import { setTimeout } from 'node:timers/promises';
import { Trace } from '../../hypervisor/common/trace.js';
import { Ram } from '../../hypervisor/machine/ram.js';
import { type TestService, TestSocket } from '../support/service.js';
import { figure, runBenchGuest } from './bench-guest.js';
import { median, report } from './report.js';

const ROUNDS = 5;
/** Number of xen_version, the call that the guest makes. */
const NULL_CALL = 17;
const MIB = 1024 * 1024;
const NEWLINE = 10;
/** A listener that hears nothing for so long has heard all, milliseconds. */
const QUIET_MS = 1000;

// biome-ignore format: one row per way of watching
const WAYS = {
  alone:      undefined,
  everything: '',
  class:      '?class=grant',
  call:       '?call=sched_op',
  domain:     '?domain=another',
  expression: `?filter=${encodeURIComponent('errno=EINVAL and (class=grant or call=sched_op) and text~mmu')}`,
} as const;
type Way = keyof typeof WAYS;

/** Picoseconds of a call. */
async function nullHypercall(service: TestService, query: string | undefined): Promise<number> {
  const socket =
    query === undefined ? undefined : new TestSocket(`${service.url}/v1/trace${query}`);
  // What the socket brings is not kept: its frames would be the cost that is measured.
  socket?.socket.removeAllListeners('message');
  await socket?.opened();
  const figures = await runBenchGuest(service, 'bench-xen', 'only=null_hypercall scale=5');
  socket?.close();
  return Number(figure(figures, 'null_hypercall', 'ps'));
}

/**
 * Picoseconds of all that an unwatched call does for the trace: it asks whether somebody wants it. There is no hypervisor without
 * a trace to compare with, so the question is asked alone, in a loop whose own cost counts as its own.
 */
function askingCost(): number {
  const trace = new Trace(Ram.allocate(MIB));
  const times = 100_000_000;
  const ask = (count: number): number => {
    let wanted = 0;
    for (let n = 0; n < count; n++) if (trace.wantsCall(NULL_CALL, n & 1023)) wanted++;
    return wanted;
  };
  ask(times / 10);
  const started = performance.now();
  ask(times);
  return ((performance.now() - started) * 1e9) / times;
}

/** Share of the records that a listener on everything does not get, in percent: there is no room in the ring, or it is too slow. */
async function dropShare(service: TestService): Promise<number> {
  const socket = new TestSocket(`${service.url}/v1/trace`);
  socket.socket.removeAllListeners('message');
  let [taken, dropped, heard] = [0, 0, 0];
  socket.socket.on('message', (data: Buffer) => {
    heard = performance.now();
    const [, lost] = /^\{"dropped":(\d+)\}$/.exec(data.subarray(0, 32).toString()) ?? [];
    if (lost !== undefined) dropped += Number(lost);
    else taken += 1 + data.filter((byte) => byte === NEWLINE).length;
  });
  await socket.opened();
  await runBenchGuest(service, 'bench-xen', 'only=null_hypercall scale=5');
  // What was lost is told last.
  while (performance.now() - heard < QUIET_MS) await setTimeout(QUIET_MS / 10);
  socket.close();
  return (100 * dropped) / (taken + dropped);
}

export async function benchTrace(service: TestService): Promise<void> {
  const ways = Object.keys(WAYS) as Way[];
  const rounds: Record<Way, number>[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const order = [...ways.slice(round % ways.length), ...ways.slice(0, round % ways.length)];
    const figures = { alone: 0, everything: 0, class: 0, call: 0, domain: 0, expression: 0 };
    for (const way of order) figures[way] = await nullHypercall(service, WAYS[way]);
    rounds.push(figures);
  }
  const ratio = (way: Way) => median(rounds.map((round) => round[way] / round.alone));
  const alone = median(rounds.map((round) => round.alone));
  const unit = 'x unwatched';
  report('Cost of the trace to a guest of null hypercalls', [
    { name: 'a null hypercall, unwatched', value: alone / 1000, unit: 'ns' },
    {
      name: 'nobody listening',
      value: alone / (alone - askingCost()),
      unit: 'x without trace',
    },
    { name: 'one listener on everything', value: ratio('everything'), unit },
    { name: 'of which it does not get', value: await dropShare(service), unit: '%' },
    { name: 'one listener on another class', value: ratio('class'), unit },
    { name: 'one listener on another call', value: ratio('call'), unit },
    { name: 'one listener on another domain', value: ratio('domain'), unit },
    { name: 'one listener with an expression', value: ratio('expression'), unit },
  ]);
}
