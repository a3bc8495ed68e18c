/** The image resource: kernels and RAM disks that domains can be created from. */

import { z } from 'zod';

export const Image = z
  .strictObject({
    name: z.string(),
    bytes: z.int(),
    uploaded: z
      .boolean()
      .describe('Whether it came over the API rather than with the image directory.'),
  })
  .meta({ id: 'Image', description: 'A kernel or RAM disk.' });
export type Image = z.infer<typeof Image>;

export const ImageList = z
  .strictObject({ images: z.array(Image) })
  .meta({ id: 'ImageList', description: 'Images by name.' });

export const UploadName = z.strictObject({
  name: z
    .string()
    .max(128)
    .regex(/^[A-Za-z0-9_][A-Za-z0-9_.+-]*$/, 'letters, digits and _ . + - only, no path'),
});
