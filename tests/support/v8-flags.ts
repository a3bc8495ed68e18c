/** Makes V8 compile WebAssembly as the hypervisor's Worker does: straight to optimised code. */

import { setFlagsFromString } from 'node:v8';

setFlagsFromString('--no-liftoff');
setFlagsFromString('--no-wasm-tier-up');
setFlagsFromString('--no-wasm-stack-checks');
setFlagsFromString('--no-turbo-use-mid-tier-regalloc-for-huge-functions');
setFlagsFromString('--wasm-lazy-compilation');
setFlagsFromString('--experimental-wasm-branch-hinting');
