/** Values put together here, checked like those that come in a request. */

import type { z } from 'zod';
import type { FieldProblem } from '../schemas/problem.js';
import { CommandError } from './errors.js';

/** Throws `bad-value`, naming the fields at fault. */
export function requireValid<S extends z.ZodType>(schema: S, value: unknown): z.output<S> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const errors = parsed.error.issues.map(fieldProblem);
  const words = errors.map(({ pointer, detail }) => `${pointer}: ${detail}`);
  throw new CommandError('bad-value', words.join('; '), { errors });
}

function fieldProblem(issue: z.core.$ZodIssue): FieldProblem {
  const unknown = issue.code === 'unrecognized_keys' ? issue.keys : [];
  const path = [...issue.path, ...unknown.slice(0, 1)];
  const detail = unknown.length > 0 ? `unknown field ${unknown.join(', ')}` : issue.message;
  return { pointer: path.map((part) => `/${String(part)}`).join(''), detail };
}
