/** Makes V8 compile WebAssembly as the hypervisor's Worker does (toolstack/host/worker.mjs): straight to optimised code. */

import { setFlagsFromString } from 'node:v8';

const FLAGS = [
  '--no-liftoff',
  '--no-wasm-tier-up',
  '--wasm-lazy-compilation',
  '--no-wasm-stack-checks',
  '--experimental-wasm-branch-hinting',
];
const V8_WITH_QUICK_ALLOCATOR = 12;
if (Number.parseInt(process.versions.v8, 10) <= V8_WITH_QUICK_ALLOCATOR) {
  FLAGS.push('--no-turbo-use-mid-tier-regalloc-for-huge-functions');
}
for (const flag of FLAGS) setFlagsFromString(flag);
