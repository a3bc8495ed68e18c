/** Content-Digest and Repr-Digest (RFC 9530): what is uploaded is what was sent. */

import { createHash } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { CommandError } from '../domains/errors.js';

const SHA_256 = /(?:^|,)\s*sha-256=:([A-Za-z0-9+/]{43}=):/;

/** Throws `digest-mismatch` if one of the headers has another SHA-256; other algorithms are passed over. */
export function checkDigest(headers: IncomingHttpHeaders, bytes: Uint8Array): void {
  for (const name of ['content-digest', 'repr-digest']) {
    const wanted = SHA_256.exec(String(headers[name] ?? ''))?.[1];
    if (wanted === undefined) continue;
    const found = createHash('sha256').update(bytes).digest('base64');
    if (found === wanted) continue;
    throw new CommandError('digest-mismatch', `${name}: sha-256 of what came is ${found}.`, {
      errors: [{ pointer: name, detail: 'is of other bytes', expected: wanted, found }],
    });
  }
}
