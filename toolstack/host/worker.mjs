/** First file of the hypervisor's Worker: compiler flags, then TypeScript, then the Worker proper. */

import { setFlagsFromString } from 'node:v8';
import { register } from 'tsx/esm/api';

// The interpreter is one big function that runs for hours: the optimizing compiler at once, no baseline code first.
setFlagsFromString('--no-liftoff');

register();
await import('./worker.ts');
