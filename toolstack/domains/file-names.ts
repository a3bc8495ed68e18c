/** Names of the files in a folder and the folders below it. */

import { readdir } from 'node:fs/promises';
import { join, relative } from 'node:path';

/** Below the folder, in no order. Links are named but not followed: they may lead anywhere, or in a circle. Empty if it is not there. */
export async function fileNames(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries
    .filter((entry) => !entry.isDirectory())
    .map(({ parentPath, name }) => relative(folder, join(parentPath, name)));
}
