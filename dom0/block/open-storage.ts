/** From what a disk is to be to the storage that it is. */

import type { DiskSpec } from './disk-spec.js';
import { openRawFile } from './raw-file.js';
import type { Storage } from './storage.js';

/** @throws DiskError */
export function openStorage(spec: DiskSpec): Promise<Storage> {
  return openRawFile(spec.path, spec.readonly);
}
