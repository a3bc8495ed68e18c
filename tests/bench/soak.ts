/**
 * `node --expose-gc --import tsx tests/bench/soak.ts [minutes]`: two Linux domains, GRUB and hello side by side, ten minutes
 * if nothing else is said, with processor, disk and network busy: drift of their clocks, answers, memory of the service.
 */

import { readFileSync } from 'node:fs';
import { startTestService, uploadImage } from '../support/service.js';
import { soak } from '../support/soak.js';
import { report } from './report.js';

const GRUB = '/usr/lib/grub-xen/grub-x86_64-xen.bin';
const MINUTES = 10;
const MIB = 1024 * 1024;

const KINDS = {
  sleeper: 'sleeper',
  disk: '256 KiB written and read back',
  peer: '1 MiB to its neighbour',
  host: '1 MiB to the host',
};

const minutes = Number(process.argv[2] ?? MINUTES);
const service = await startTestService({ memory: 512 });
try {
  await uploadImage(service, 'grub', readFileSync(GRUB));
  const result = await soak(service, { seconds: minutes * 60, grub: 'grub' });
  report('Two Linux, GRUB and hello side by side', [
    { name: 'for', value: result.seconds, unit: 's' },
    ...result.driftPpm.map((value, n) => ({ name: `drift of Linux ${n + 1}`, value, unit: 'ppm' })),
    ...result.work.flatMap((each, n) =>
      Object.entries(each).map(([kind, { done, wrong }]) => ({
        name: `${KINDS[kind as keyof typeof KINDS]} of Linux ${n + 1}`,
        value: done / result.seconds,
        unit: 'turns/s',
        remark: `${done} done, ${wrong} wrong`,
      })),
    ),
    { name: 'answers of GRUB and hello', value: result.answers, unit: '', remark: 'none missing' },
    { name: 'slowest answer', value: result.slowestAnswer, unit: 's' },
    { name: 'heap', value: result.heapPerMinute / MIB, unit: 'MiB a minute' },
    { name: 'resident memory', value: result.residentGrowth / MIB, unit: 'MiB more' },
    { name: 'exceptions', value: result.bugs, unit: '' },
  ]);
} finally {
  await service.close();
}
