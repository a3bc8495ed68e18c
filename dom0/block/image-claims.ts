/** Who uses which image: many may read one, but who writes to it has it alone. */

import { DiskError } from './storage.js';

interface Claim {
  readers: number;
  writers: number;
}

/** By device and inode: links lead to the same image. */
const claims = new Map<string, Claim>();

/** @returns how to give it back, once. @throws DiskError in-use */
export function claimImage(key: string, path: string, readonly: boolean): () => void {
  const claim = claims.get(key) ?? { readers: 0, writers: 0 };
  if (claim.writers > 0 || (!readonly && claim.readers > 0)) {
    const use = claim.writers > 0 ? 'written to' : 'read';
    throw new DiskError('in-use', `${path} is being ${use} by another disk`);
  }
  claims.set(key, claim);
  const field = readonly ? 'readers' : 'writers';
  claim[field] += 1;
  let isReleased = false;
  return () => {
    if (isReleased) return;
    isReleased = true;
    claim[field] -= 1;
    if (claim.readers + claim.writers === 0) claims.delete(key);
  };
}
