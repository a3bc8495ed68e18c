/** Typing into the console of a domain. */

import { CommandError } from './errors.js';
import type { DomainRecord } from './record.js';

/** Throws if the guest is gone or does not read. */
export function typeInto({ console, domid }: DomainRecord, bytes: Uint8Array): void {
  if (!console.connected) {
    throw new CommandError('wrong-state', `Domain ${domid} has ended; nobody reads its console.`);
  }
  const taken = console.type(bytes);
  if (taken === bytes.length) return;
  const figures = { taken, refused: bytes.length - taken };
  const message = `The guest does not read: ${taken} of ${bytes.length} bytes were taken.`;
  throw new CommandError('input-refused', message, { figures });
}
