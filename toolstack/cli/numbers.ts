/** Numbers on the command line. */

import { UserError } from './client.js';

/** @param what it should be, for the message: "a weight". @throws UserError if it is none. */
export function whole(text: string, what: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new UserError(`"${text}" is not ${what}`);
}
