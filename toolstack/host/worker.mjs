/** First file of the hypervisor's Worker: compiler flags, then TypeScript, then the Worker proper. */

import { setFlagsFromString } from 'node:v8';
import { register } from 'tsx/esm/api';

// The interpreter is one big function that runs for hours. Each flag is worth something there (hypervisor/engine/README.md).
const FLAGS = [
  '--no-liftoff', // the optimizing compiler at once, no baseline code first
  '--no-wasm-tier-up',
  '--wasm-lazy-compilation', // rare instructions are compiled when they are first met
  '--no-wasm-stack-checks', // not one at each instruction: the budget bounds every loop
  '--experimental-wasm-branch-hinting', // slow paths must not spill the registers of the fast one
];
// The quick register allocator for huge functions keeps nothing in registers; later versions of V8 have no such flag.
const V8_WITH_QUICK_ALLOCATOR = 12;
if (Number.parseInt(process.versions.v8, 10) <= V8_WITH_QUICK_ALLOCATOR) {
  FLAGS.push('--no-turbo-use-mid-tier-regalloc-for-huge-functions');
}
for (const flag of FLAGS) setFlagsFromString(flag);

register();
await import('./worker.ts');
