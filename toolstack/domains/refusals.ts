/** What the hypervisor refuses, in the words of the toolstack. */

import { PrivcmdGone, PrivcmdRefusal } from '../../dom0/privcmd.js';
import { errnoMeaning } from '../../hypervisor/public/errno-meaning.js';
import type { FieldProblem } from '../schemas/problem.js';
import { CommandError, type ErrorFacts } from './errors.js';

const NO_MEMORY = new Set(['ENOMEM', 'ENOSPC']);

/** Any other error is returned as it is. */
export function asCommandError(error: unknown): unknown {
  if (error instanceof PrivcmdGone) {
    return new CommandError('hypervisor-gone', `The hypervisor is gone: ${error.message}`);
  }
  if (!(error instanceof PrivcmdRefusal)) return error;
  const { errno, detail } = error;
  const facts = { ...namedErrno(errno), ...(error.log.length > 0 && { log: [...error.log] }) };
  if (typeof detail['field'] === 'string') return badImage(error, detail['field']);
  if (NO_MEMORY.has(errno)) {
    const figures = numbersOf(detail);
    const text = Object.entries(figures).map(([name, value]) => `${name} ${value}`);
    const message = `The host has not enough memory (4 KiB frames: ${text.join(', ')}).`;
    return new CommandError('not-enough-memory', message, { ...facts, figures });
  }
  if (errno === 'ESRCH') return new CommandError('no-such-domain', error.message, facts);
  return new CommandError('hypervisor-refused', error.message, facts);
}

/** The error number by its name, and what that means. */
function namedErrno(errno: string): Pick<ErrorFacts, 'errno' | 'errnoMeaning'> {
  const meaning = errnoMeaning(errno);
  return { errno, ...(meaning !== undefined && { errnoMeaning: meaning }) };
}

/** The builder names the field of the image, or of the request, that does not fit. */
function badImage({ errno, detail }: PrivcmdRefusal, field: string): CommandError {
  const message = String(detail['message']);
  const error: FieldProblem = {
    pointer: field === 'memory' ? '/memory' : '/kernel',
    detail: message.startsWith(field) ? message : `${field}: ${message}`,
    ...(detail['expected'] !== undefined && { expected: String(detail['expected']) }),
    ...(detail['found'] !== undefined && { found: String(detail['found']) }),
  };
  return new CommandError('bad-image', `${error.detail}.`, {
    ...namedErrno(errno),
    errors: [error],
  });
}

const numbersOf = (detail: Readonly<Record<string, unknown>>): Record<string, number> =>
  Object.fromEntries(
    Object.entries(detail).filter(
      (entry): entry is [string, number] => typeof entry[1] === 'number',
    ),
  );
