/** The instruction set: every family of definitions, and the host functions they call. */

import { arithmetic } from './arithmetic.js';
import { atomic } from './atomic.js';
import { bitOperations } from './bit-operations.js';
import { branch } from './branch.js';
import { conditional } from './conditions.js';
import type { Family } from './define.js';
import { farTransfers } from './far-transfer.js';
import { FAR_FUNCTIONS } from './far-transfer-host.js';
import { flagOperations } from './flag-operations.js';
import type { HostImplementation } from './host-functions.js';
import { interrupts } from './interrupts.js';
import { bitwise } from './logic.js';
import { move } from './move.js';
import { multiplyDivide } from './multiply-divide.js';
import { SEGMENT_FUNCTIONS, segments } from './segments.js';
import { shifts } from './shifts.js';
import { stack } from './stack.js';
import { stringOperations } from './string-operations.js';
import { SYSTEM_HOST_FUNCTIONS, system } from './system.js';

// biome-ignore format: one row per family
export const FAMILIES: readonly Family[] = [
  arithmetic,
  atomic,
  bitOperations,
  bitwise,
  branch,
  conditional,
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
];

// biome-ignore format: one row per file
export const HOST_FUNCTIONS: readonly HostImplementation[] = [
  ...FAR_FUNCTIONS,
  ...SEGMENT_FUNCTIONS,
  ...SYSTEM_HOST_FUNCTIONS,
];
