/** What a command may refuse, by name. The API has one table that gives each code its HTTP status. */

import type { FieldProblem } from '../schemas/problem.js';

export type ErrorCode =
  | 'no-such-domain'
  | 'no-such-image'
  | 'no-such-definition'
  | 'image-in-use'
  | 'no-such-node'
  | 'no-such-disk'
  | 'no-such-device'
  | 'no-such-network'
  | 'no-such-forward'
  | 'no-such-task'
  | 'precondition-failed'
  | 'digest-mismatch'
  | 'no-such-core'
  | 'core-exists'
  | 'no-such-recording'
  | 'recording-exists'
  | 'no-such-save'
  | 'save-exists'
  | 'bad-save'
  | 'no-space'
  | 'busy'
  | 'unresponsive'
  | 'no-such-token'
  | 'too-many'
  | 'disk-exists'
  | 'disk-in-use'
  | 'disk-too-large'
  | 'device-exists'
  | 'bad-disk'
  | 'name-in-use'
  | 'wrong-state'
  | 'not-enough-memory'
  | 'bad-image'
  | 'bad-value'
  | 'input-refused'
  | 'store-refused'
  | 'hypervisor-refused'
  | 'hypervisor-gone';

export interface ErrorFacts {
  readonly errors?: FieldProblem[];
  readonly figures?: Record<string, number>;
  readonly errno?: string;
  /** What Xen means by it, in a sentence. */
  readonly errnoMeaning?: string;
  /** Lines of a log or a console that say more. */
  readonly log?: string[];
}

export class CommandError extends Error {
  override readonly name = 'CommandError';
  readonly code: ErrorCode;
  readonly facts: ErrorFacts;

  constructor(code: ErrorCode, message: string, facts: ErrorFacts = {}) {
    super(message);
    this.code = code;
    this.facts = facts;
  }
}
