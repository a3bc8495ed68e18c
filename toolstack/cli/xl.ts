#!/usr/bin/env -S npx tsx

/** xl: a thin client of the API, with the verbs and the output that Xen's users know. */

import { invoke } from './invoke.js';

// Whoever reads the output may have seen enough, as `head` has.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(0);
});
await invoke(process.argv.slice(2));
