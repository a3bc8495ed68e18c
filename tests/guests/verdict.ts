/** Running one guest to its verdict, and looking afterwards whether anything of it is left. */

import { expect } from 'vitest';
import type { CreateDomain } from '../../hypervisor/public/privcmd.js';
import { Harness } from '../support/hypervisor-harness.js';

export interface Outcome {
  readonly output: string;
  /** Why the hypervisor crashed it, if it did. */
  readonly crash: string | undefined;
  readonly ended: boolean;
}

/** The line a guest says its verdict in, or what stands in its place. */
export function verdictOf({ output, crash, ended }: Outcome): string {
  const line = /^VERDICT: .*$/m.exec(output)?.[0].trim();
  if (line !== undefined) return line;
  const tail = output.trim().split('\n').slice(-12).join('\n');
  return `${crash ?? (ended ? 'ended without a verdict' : 'still running')}: ${tail}`;
}

/**
 * Runs one guest alone on a fresh hypervisor until it ends; checks that nothing of it is left. Its time passes by
 * instructions, so that a busy machine does not make its timers late.
 */
export function runAlone(image: string, options: Partial<CreateDomain> = {}, ms = 60_000): Outcome {
  const harness = new Harness({ clock: 'virtual' });
  const before = harness.freeFrames;
  const guest = harness.create(image, options);
  const ended = guest.ends(ms);
  const crash = guest.info.crashReason;
  guest.destroy();
  expect(harness.freeFrames, 'host frames after the guest').toBe(before);
  expect(harness.bugs, 'exceptions in the hypervisor').toBe(0);
  return { output: guest.output, crash, ended };
}
