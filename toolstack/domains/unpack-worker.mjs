/** First file of the thread that unpacks what would keep everybody waiting: TypeScript, then the Worker proper. */

import { register } from 'tsx/esm/api';

register();
await import('./unpack-worker.ts');
