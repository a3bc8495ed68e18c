/** The instruction set: every family of definitions, and the host functions they call. */

import { arithmetic } from './arithmetic.js';
import { branch } from './branch.js';
import type { Family } from './define.js';
import type { HostImplementation } from './host-functions.js';
import { bitwise } from './logic.js';
import { move } from './move.js';
import { stack } from './stack.js';
import { system } from './system.js';

// biome-ignore format: one row per family
export const FAMILIES: readonly Family[] = [
  arithmetic,
  bitwise,
  branch,
  move,
  stack,
  system,
];

// biome-ignore format: one row per file
export const HOST_FUNCTIONS: readonly HostImplementation[] = [
];
