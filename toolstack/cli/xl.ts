#!/usr/bin/env -S npx tsx

/** xl: a thin client of the API, with the verbs and the output that Xen's users know. */

import { UserError } from './client.js';
import { program } from './program.js';

try {
  await program().parseAsync();
} catch (error) {
  if (!(error instanceof UserError)) throw error;
  process.stderr.write(`xl: ${error.message}\n`);
  process.exitCode = 1;
}
