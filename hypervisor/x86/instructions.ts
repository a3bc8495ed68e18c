/** The instruction set: every family of definitions, and the host functions they call. */

import { arithmetic } from './arithmetic.js';
import { atomic } from './atomic.js';
import { bitOperations } from './bit-operations.js';
import { branch } from './branch.js';
import { byteOrder } from './byte-order.js';
import { conditional } from './conditions.js';
import { decimal } from './decimal.js';
import type { Family } from './define.js';
import { farTransfers } from './far-transfer.js';
import { FAR_FUNCTIONS } from './far-transfer-host.js';
import { flagOperations } from './flag-operations.js';
import { FXSAVE_FUNCTIONS, fxState } from './fxsave.js';
import type { HostImplementation } from './host-functions.js';
import { interrupts } from './interrupts.js';
import { bitwise } from './logic.js';
import { move } from './move.js';
import { multiplyDivide } from './multiply-divide.js';
import { SEGMENT_FUNCTIONS, segments } from './segments.js';
import { shifts } from './shifts.js';
import { sseConvert } from './sse-convert.js';
import { sseFloat } from './sse-float.js';
import { SSE_SLOW } from './sse-host.js';
import { sseInteger } from './sse-integer.js';
import { sseMoves } from './sse-moves.js';
import { sseShuffles } from './sse-shuffles.js';
import { stack } from './stack.js';
import { stringOperations } from './string-operations.js';
import { SYSTEM_HOST_FUNCTIONS, system } from './system.js';
import { x87 } from './x87.js';
import { X87_FUNCTIONS } from './x87-host.js';

// biome-ignore format: one row per family
export const FAMILIES: readonly Family[] = [
  arithmetic,
  atomic,
  bitOperations,
  bitwise,
  branch,
  byteOrder,
  conditional,
  decimal,
  farTransfers,
  flagOperations,
  interrupts,
  move,
  multiplyDivide,
  segments,
  shifts,
  stack,
  stringOperations,
  system,
  sseMoves,
  sseInteger,
  sseShuffles,
  sseFloat,
  sseConvert,
  fxState,
  x87,
];

// biome-ignore format: one row per file
export const HOST_FUNCTIONS: readonly HostImplementation[] = [
  ...FAR_FUNCTIONS,
  ...SEGMENT_FUNCTIONS,
  ...SYSTEM_HOST_FUNCTIONS,
  SSE_SLOW,
  ...FXSAVE_FUNCTIONS,
  ...X87_FUNCTIONS,
];
