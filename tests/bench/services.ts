/** What Xen's services cost a guest, and how late its timers are. */

import type { TestService } from '../support/service.js';
import { type Figures, figure, runBenchGuest } from './bench-guest.js';
import { median, report } from './report.js';

const ROUNDS = 3;

/** Real Xen 4.17 in QEMU's TCG on a machine of this kind, in µs: for comparison only. */
const XEN_IN_TCG: Readonly<Record<string, number>> = {
  null_hypercall: 0.46,
  event_round_trip: 1.9,
  ud2_bounce: 1.8,
  page_fault_bounce: 6.5,
  update_va_mapping_invlpg: 2.0,
  mmu_update_in_batch: 0.9,
  pin_unpin_l1: 23,
};

export async function benchServices(service: TestService): Promise<void> {
  const rounds: Figures[] = [];
  for (let i = 0; i < ROUNDS; i++) rounds.push(await runBenchGuest(service, 'bench-xen'));
  const names = [...(rounds[0]?.keys() ?? [])]
    .filter((key) => key.endsWith(' ps'))
    .map((key) => key.slice(0, -3));
  const rows = names.map((name) => {
    const value = median(rounds.map((figures) => Number(figure(figures, name, 'ps')))) / 1e6;
    const peer = XEN_IN_TCG[name];
    return {
      name,
      value,
      unit: 'µs',
      remark: peer ? `${(peer / value).toFixed(1)} times as fast as Xen in TCG (${peer} µs)` : '',
    };
  });
  const perSecond = median(
    rounds.map((figures) => Number(figure(figures, 'null_hypercalls', 'per_second'))),
  );
  report('Services of the hypervisor', [
    ...rows,
    { name: 'null hypercalls', value: perSecond / 1e6, unit: 'million/s' },
  ]);
  const timer = await runBenchGuest(service, 'bench-timer');
  report('Timers', [
    {
      name: 'lateness, mean',
      value: Number(figure(timer, 'timer_lateness_mean', 'ns')) / 1e3,
      unit: 'µs',
    },
    {
      name: 'lateness, worst',
      value: Number(figure(timer, 'timer_lateness_worst', 'ns')) / 1e3,
      unit: 'µs',
    },
  ]);
}
