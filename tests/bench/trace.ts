/** What watching costs: a guest that does nothing but hypercalls, unwatched, watched, and watched through a filter. */

import { type TestService, TestSocket } from '../support/service.js';
import { figure, runBenchGuest } from './bench-guest.js';
import { median, report } from './report.js';

const ROUNDS = 3;

async function nullHypercall(service: TestService, query: string | undefined): Promise<number> {
  const socket =
    query === undefined ? undefined : new TestSocket(`${service.url}/v1/trace${query}`);
  await socket?.opened();
  const figures = await runBenchGuest(service, 'bench-xen', 'only=null_hypercall scale=5');
  socket?.close();
  return Number(figure(figures, 'null_hypercall', 'ps'));
}

export async function benchTrace(service: TestService): Promise<void> {
  const rounds: { alone: number; all: number; filtered: number }[] = [];
  for (let i = 0; i < ROUNDS; i++) {
    rounds.push({
      alone: await nullHypercall(service, undefined),
      all: await nullHypercall(service, ''),
      filtered: await nullHypercall(service, '?class=grant'),
    });
  }
  report('Cost of the trace to a guest of null hypercalls', [
    {
      name: 'one listener on everything',
      value: median(rounds.map(({ all, alone }) => all / alone)),
      unit: 'x unwatched',
    },
    {
      name: 'one listener on another class',
      value: median(rounds.map(({ filtered, alone }) => filtered / alone)),
      unit: 'x unwatched',
    },
  ]);
}
