/**
 * The hypercall table: handlers by the names of public/hypercalls.ts. A call without a row here is -ENOSYS and counted.
 * Numbers, arguments and trace text are in public/hypercalls.ts; who may call, and why a call is missing, in its handler.
 */

import { HYPERCALLS, NR_HYPERCALLS } from '../public/hypercalls.js';
import type { Handler } from './hypercall.js';

/** Handlers by name of the call. */
const HANDLERS: Readonly<Record<string, Handler>> = {};

/** Handlers by number. */
export const TABLE: readonly (Handler | undefined)[] = Array.from(
  { length: NR_HYPERCALLS },
  (_, number) => HANDLERS[HYPERCALLS[number]?.name ?? ''],
);
