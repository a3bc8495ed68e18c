/** A control call that is refused: an errno, what is wrong in words, figures. */

import { ERRNO, type ErrnoName } from './public/errno.js';
import type { PrivcmdError } from './public/privcmd.js';

export class ControlError extends Error {
  readonly errno: ErrnoName;
  readonly detail: Readonly<Record<string, unknown>> | undefined;

  constructor(errno: ErrnoName, message: string, detail?: Readonly<Record<string, unknown>>) {
    super(message);
    this.errno = errno;
    this.detail = detail;
  }

  toReply(): PrivcmdError {
    const { errno, message, detail } = this;
    return { errno, number: -ERRNO[errno], message, ...(detail ? { detail } : {}) };
  }
}

/** The result of a call that answers with a number: refused if negative. */
export function checked(result: number, what: string): number {
  if (result >= 0) return result;
  const name = Object.entries(ERRNO).find(([, number]) => number === -result)?.[0] ?? 'EINVAL';
  throw new ControlError(name as ErrnoName, what);
}
