/** A process of its own that writes to a disk without end, and says after each write what was answered: to be killed. */

import { openStorage } from '../../dom0/block/open-storage.js';

const [path = '', overlay = ''] = process.argv.slice(2);
const storage = await openStorage({
  vdev: 'xvda',
  path,
  readonly: false,
  discard: false,
  ...(overlay !== '' && { overlay: { path: overlay } }),
});
const sectors = storage.bytes / 512;

for (let n = 1; ; n += 1) {
  // Each sector in turn, three at a time; its words tell the number of the write.
  const sector = (n * 3) % (sectors - 3);
  await storage.write([new Uint8Array(new Uint32Array(3 * 128).fill(n).buffer)], sector * 512);
  process.stdout.write(`${n}\n`);
}
