/** The processor: the same C loops in a guest and natively, alternating, as ratios. */

import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import type { TestService } from '../support/service.js';
import { type Figures, figure, parseFigures, runBenchGuest } from './bench-guest.js';
import { median, report } from './report.js';

const GUESTS = join(import.meta.dirname, '../../guests');
const LOOPS = ['integer', 'copy', 'chase', 'string', 'sse2'] as const;
const ROUNDS = 3;
/** Natively the loops end too soon to be timed well: more of them, and the time divided. */
const NATIVE_SCALE = 10;

function buildNative(): string | undefined {
  try {
    execFileSync('make', ['-s', '-C', GUESTS, 'native'], { stdio: 'pipe' });
    return join(GUESTS, 'build', 'native');
  } catch {
    console.log('\n(no C compiler here: loops are not compared with native code)');
    return undefined;
  }
}

const runNative = (program: string): Figures =>
  parseFigures(execFileSync(program, [String(NATIVE_SCALE)], { encoding: 'utf8' }));

const nsPerIteration = (figures: Figures, loop: string): number =>
  Number(figure(figures, loop, 'ns')) / Number(figure(figures, loop, 'iterations'));

export async function benchLoops(service: TestService): Promise<void> {
  const native = buildNative();
  const rounds: { guest: Figures; native: Figures | undefined; mips: number }[] = [];
  for (let i = 0; i < ROUNDS; i++) {
    const before = (await service.request('GET', '/v1/host')).json;
    const started = performance.now();
    const guest = await runBenchGuest(service, 'bench-cpu');
    const elapsed = performance.now() - started;
    const after = (await service.request('GET', '/v1/host')).json;
    const mips = (after.instructions - before.instructions) / elapsed / 1000;
    rounds.push({ guest, native: native ? runNative(native) : undefined, mips });
  }
  const rows = LOOPS.map((loop) => {
    const guest = median(rounds.map((round) => nsPerIteration(round.guest, loop)));
    if (!native) return { name: `${loop} loop`, value: guest, unit: 'ns/iteration' };
    const ratio = median(
      rounds.map(
        (round) =>
          nsPerIteration(round.guest, loop) / nsPerIteration(round.native ?? round.guest, loop),
      ),
    );
    return {
      name: `${loop} loop`,
      value: ratio,
      unit: 'x native',
      remark: `${guest.toFixed(2)} ns an iteration`,
    };
  });
  report('Processor: the same loops in a guest and natively', [
    ...rows,
    {
      name: 'all loops',
      value: median(rounds.map(({ mips }) => mips)),
      unit: 'MIPS',
      remark: 'instructions retired, start and end of the guest included',
    },
  ]);
}
