/** `npm run bench`: what the machine can do, each figure a rate or a ratio taken in this one run. It never fails on time. */

import { startTestService } from '../support/service.js';
import { benchIdle } from './idle.js';
import { benchLifeCycle } from './life-cycle.js';
import { benchLoops } from './loops.js';
import { benchServices } from './services.js';
import { benchTrace } from './trace.js';

const PARTS = {
  loops: benchLoops,
  services: benchServices,
  lifecycle: benchLifeCycle,
  trace: benchTrace,
  idle: benchIdle,
};

const wanted = process.argv.slice(2);
const service = await startTestService({ memory: 1024 });
try {
  for (const [name, part] of Object.entries(PARTS)) {
    if (wanted.length === 0 || wanted.includes(name)) await part(service);
  }
} finally {
  await service.close();
}
