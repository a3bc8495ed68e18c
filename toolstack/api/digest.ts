/** Content-Digest and Repr-Digest (RFC 9530): what is uploaded is what was sent. */

import type { IncomingHttpHeaders } from 'node:http';
import { CommandError } from '../domains/errors.js';

const SHA_256 = /(?:^|,)\s*sha-256=:([A-Za-z0-9+/]{43}=):/;

/** The value of such a header. @param sha256 in hexadecimal, as all over the API. */
export const digestOf = (sha256: string): string =>
  `sha-256=:${Buffer.from(sha256, 'hex').toString('base64')}:`;

/**
 * Throws `digest-mismatch` if one of the headers has another SHA-256; other algorithms are passed over.
 * @param sha256 of what came, in hexadecimal.
 */
export function checkDigest(headers: IncomingHttpHeaders, sha256: string): void {
  for (const name of ['content-digest', 'repr-digest']) {
    const wanted = SHA_256.exec(String(headers[name] ?? ''))?.[1];
    if (wanted === undefined) continue;
    const found = Buffer.from(sha256, 'hex').toString('base64');
    if (found === wanted) continue;
    throw new CommandError('digest-mismatch', `${name}: sha-256 of what came is ${found}.`, {
      errors: [{ pointer: name, detail: 'is of other bytes', expected: wanted, found }],
    });
  }
}
