/** Response schemas that routes share. */

import { z } from 'zod';
import { Problem } from '../schemas/problem.js';

/** A response without a body. */
export const none = z.undefined().describe('Done.');

/** A body of plain text. */
export const text = (description: string) => ({
  description,
  content: { 'text/plain': { schema: z.string() } },
});

/** A body of bytes, of whatever length. */
export const bytes = (description: string) => ({
  description,
  content: { 'application/octet-stream': { schema: z.string().meta({ format: 'binary' }) } },
});

const problemResponse = {
  description: 'Refused.',
  content: { 'application/problem+json': { schema: Problem } },
};

/** The problems a route answers with, for its documentation. */
export const refusals = (...statuses: number[]) =>
  Object.fromEntries(statuses.map((status) => [status, problemResponse]));
