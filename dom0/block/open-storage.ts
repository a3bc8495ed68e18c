/** From what a disk is to be to the storage that it is. */

import type { DiskSpec } from './disk-spec.js';
import { openOverlaid } from './overlay.js';
import { openRawFile } from './raw-file.js';
import type { Storage } from './storage.js';

/** @throws DiskError */
export function openStorage({ path, readonly, overlay }: DiskSpec): Promise<Storage> {
  return overlay === undefined ? openRawFile(path, readonly) : openOverlaid(path, overlay.path);
}
