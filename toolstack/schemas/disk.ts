/** Disks: image files that domains can have, and the disks that a domain has. */

import { z } from 'zod';

/** Bytes of a sector: sizes are whole numbers of them. */
const SECTOR = 512;
const TIB = 2 ** 40;

const NewDiskName = z
  .string()
  .max(128)
  .regex(/^[A-Za-z0-9_][A-Za-z0-9_.+-]*$/, 'letters, digits and _ . + - only, no path');

/** Of a disk that is there: a path below a disk directory. */
export const DiskImageName = z.strictObject({ name: z.string().min(1).max(255) });
export const NewDiskImageName = z.strictObject({ name: NewDiskName });

export const DiskImageCreate = z
  .strictObject({
    name: NewDiskName.describe('Its file, in the first disk directory.'),
    size: z
      .int()
      .min(SECTOR)
      .max(16 * TIB)
      .multipleOf(SECTOR)
      .describe('Bytes. Space is taken when it is written to.'),
  })
  .meta({ id: 'DiskImageCreate', description: 'A blank disk to be made.' });
export type DiskImageCreate = z.output<typeof DiskImageCreate>;

export const DiskImage = z
  .strictObject({
    name: z.string().describe('Path below the disk directory: the target of a disk.'),
    path: z.string().describe('Its file on the host of the service.'),
    bytes: z.int().describe('Size of the disk.'),
    usedBytes: z.int().describe('Space that it takes on the host.'),
    inUse: z.boolean().describe('Whether a domain has it.'),
  })
  .meta({ id: 'DiskImage', description: 'A disk image on the host.' });
export type DiskImage = z.infer<typeof DiskImage>;

export const DiskImageList = z
  .strictObject({
    directories: z.array(z.string()).describe('Where disks may lie: `npm start -- --disks DIR`.'),
    disks: z.array(DiskImage),
  })
  .meta({ id: 'DiskImageList', description: 'Disk images by name.' });
