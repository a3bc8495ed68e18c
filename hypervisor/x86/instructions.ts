/** The instruction set: every family of definitions, and the host functions they call. */

import { arithmetic } from './arithmetic.js';
import { bitOperations } from './bit-operations.js';
import { branch } from './branch.js';
import type { Family } from './define.js';
import { flagOperations } from './flag-operations.js';
import type { HostImplementation } from './host-functions.js';
import { interrupts } from './interrupts.js';
import { bitwise } from './logic.js';
import { move } from './move.js';
import { multiplyDivide } from './multiply-divide.js';
import { shifts } from './shifts.js';
import { stack } from './stack.js';
import { SYSTEM_HOST_FUNCTIONS, system } from './system.js';

// biome-ignore format: one row per family
export const FAMILIES: readonly Family[] = [
  arithmetic,
  bitwise,
  branch,
  move,
  stack,
  shifts,
  multiplyDivide,
  bitOperations,
  flagOperations,
  interrupts,
  system,
];

// biome-ignore format: one row per file
export const HOST_FUNCTIONS: readonly HostImplementation[] = [
  ...SYSTEM_HOST_FUNCTIONS,
];
