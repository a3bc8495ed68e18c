/** Images that definitions name: they are not removed by mistake. */

import type { Definitions } from './definitions.js';
import { CommandError } from './errors.js';
import type { Images } from './images.js';

interface Host {
  readonly images: Images;
  readonly definitions: Definitions;
}

/** Throws `no-such-image`, or `image-in-use` naming the definitions unless it is to be removed all the same. */
export async function deleteImage(
  { images, definitions }: Host,
  name: string,
  { force }: { readonly force: boolean },
): Promise<void> {
  images.requireUpload(name);
  const users = definitions
    .list()
    .filter(({ config: { kernel, ramdisk } }) =>
      [kernel, ramdisk].some((used) => used !== undefined && images.isUpload(name, used)),
    );
  if (users.length > 0 && !force) {
    const names = users.map(({ config }) => `"${config.name}"`).join(', ');
    const message = `The image "${name}" is in use by the definition ${names}; ?force=true removes it all the same.`;
    throw new CommandError('image-in-use', message);
  }
  await images.delete(name);
}
