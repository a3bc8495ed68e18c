/** The image resource: kernels and RAM disks that domains can be created from. */

import { z } from 'zod';

const IMAGE_KINDS = ['kernel', 'ramdisk', 'disk', 'other'] as const;

export const Image = z
  .strictObject({
    name: z.string(),
    bytes: z.int(),
    sha256: z.string().describe('Of its bytes, in hexadecimal.'),
    kind: z.enum(IMAGE_KINDS).describe('What it seems to be by its content.'),
    uploaded: z
      .boolean()
      .describe('Whether it came over the API rather than with the image directory.'),
  })
  .meta({ id: 'Image', description: 'A kernel or RAM disk.' });
export type Image = z.infer<typeof Image>;

/** Of an image that is there: a path below the image directory, or the name of an upload. */
export const ImageParams = z.strictObject({ name: z.string().min(1).max(255) });

export const ImageDeleteQuery = z.strictObject({
  force: z.stringbool().default(false).describe('Remove it even if a definition names it.'),
});

export const ImageList = z
  .strictObject({ images: z.array(Image) })
  .meta({ id: 'ImageList', description: 'Images by name.' });

export const UploadName = z.strictObject({
  name: z
    .string()
    .max(128)
    .regex(/^[A-Za-z0-9_][A-Za-z0-9_.+-]*$/, 'letters, digits and _ . + - only, no path'),
});
