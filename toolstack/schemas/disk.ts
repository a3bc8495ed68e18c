/** Disks: image files that domains can have, and the disks that a domain has. */

import { z } from 'zod';
import { DeviceFigures } from './device.js';

/** Bytes of a sector: sizes are whole numbers of them. */
const SECTOR = 512;
const TIB = 2 ** 40;

const NewDiskName = z
  .string()
  .max(128)
  .regex(/^[A-Za-z0-9_][A-Za-z0-9_.+-]*$/, 'letters, digits and _ . + - only, no path');

const Vdev = z
  .string()
  .regex(
    /^((xvd|sd|hd)[a-z]{1,5}([1-9]\d{0,2})?|d\d{1,7}(p[1-9]\d{0,2})?)$/,
    'a name like xvda, xvdb1, sda or hda',
  );

export const DiskConfig = z
  .strictObject({
    vdev: Vdev.describe('Its name in the guest: "xvda".'),
    target: z
      .string()
      .min(1)
      .max(4096)
      .describe('The image: a path below a disk directory, or a whole path that ends in one.'),
    access: z.enum(['rw', 'ro']).optional().describe('"rw" unless it is a CD-ROM.'),
    format: z.enum(['raw']).default('raw').describe('Of the image.'),
    overlay: z
      .union([z.boolean(), NewDiskName])
      .default(false)
      .describe(
        'Leave the image as it is and keep what is written elsewhere: true for as long as the domain exists, a name for longer, in the disk NAME.overlay.',
      ),
    discard: z.boolean().default(true).describe('Offer discard, where the storage can do it.'),
    cdrom: z.boolean().default(false).describe('Let it be a CD-ROM: removable, and read only.'),
  })
  .refine(({ cdrom, access }) => !(cdrom && access === 'rw'), {
    path: ['access'],
    message: 'a CD-ROM is read only',
  })
  .refine(({ overlay, access, cdrom }) => overlay === false || !(cdrom || access === 'ro'), {
    path: ['overlay'],
    message: 'of no use to a disk that is read only',
  })
  .meta({ id: 'DiskConfig', description: 'A disk that a domain is to have.' });
export type DiskConfig = z.output<typeof DiskConfig>;

export const DomainDisk = z
  .strictObject({
    vdev: z.string(),
    devid: z.int().describe('Number of the device in XenStore.'),
    target: z.string(),
    path: z.string().describe('The image on the host of the service.'),
    bytes: z.int().describe('Size of the image.'),
    access: z.enum(['rw', 'ro']),
    overlay: z.union([z.boolean(), z.string()]),
    cdrom: z.boolean(),
    ...DeviceFigures.shape,
  })
  .meta({ id: 'DomainDisk', description: 'A disk of a domain.' });
export type DomainDisk = z.infer<typeof DomainDisk>;

export const DomainDiskList = z
  .strictObject({ disks: z.array(DomainDisk) })
  .meta({ id: 'DomainDiskList', description: 'Disks of a domain.' });

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
