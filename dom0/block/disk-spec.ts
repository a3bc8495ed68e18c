/**
 * What a disk is to be, and the number its name stands for.
 * Spec: xen-vbd-interface(7), "Concrete encoding in the VBD interface".
 *
 *     xvd   disk < 16, partition < 16    202 << 8 | disk << 4 | partition
 *     xvd   else                         1 << 28  | disk << 8 | partition
 *     sd    disk < 16, partition < 16    8 << 8   | disk << 4 | partition
 *     hd    disk 0, 1; 2, 3              3 << 8, 22 << 8 | (disk & 1) << 6 | partition
 *     d     as xvd, in numbers: d0, d2p3
 */

export interface DiskSpec {
  /** Name in the guest: "xvda", "xvdb1", "hda", "sda", "d0p1". */
  readonly vdev: string;
  /** Image or block device on the host. */
  readonly path: string;
  readonly readonly: boolean;
  /**
   * Writes go to an overlay and leave the image as it is. With a path the overlay is kept there, and used again if it is
   * there already; without one it lasts as long as the device is attached.
   */
  readonly overlay?: { readonly path?: string };
  /** Offer discard, where the storage can do it. */
  readonly discard: boolean;
  readonly cdrom?: boolean;
}

interface Family {
  readonly disks: number;
  readonly partitions: number;
  number(disk: number, partition: number): number;
}

const MAJOR_SHIFT = 8;
const MAJOR = { xvd: 202, sd: 8, hda: 3, hdc: 22 };
const EXTENDED = 1 << 28;

/** In the extended encoding 20 bits are left for the disk, 8 for the partition. */
const xvd: Family = {
  disks: 1 << 20,
  partitions: 256,
  number: (disk, partition) =>
    disk < 16 && partition < 16
      ? (MAJOR.xvd << MAJOR_SHIFT) | (disk << 4) | partition
      : EXTENDED | (disk << 8) | partition,
};

// biome-ignore format: one row per family of names
const FAMILIES: Readonly<Record<string, Family>> = {
  xvd,
  d:   xvd,
  sd:  { disks: 16, partitions: 16, number: (disk, partition) => (MAJOR.sd << MAJOR_SHIFT) | (disk << 4) | partition },
  hd:  { disks: 4,  partitions: 64, number: (disk, partition) => ((disk < 2 ? MAJOR.hda : MAJOR.hdc) << MAJOR_SHIFT) | ((disk & 1) << 6) | partition },
};

/** @returns the virtual device's number, undefined for a name that has none. */
export function parseVdev(name: string): number | undefined {
  const lettered = /^(xvd|sd|hd)([a-z]{1,5})([1-9]\d{0,2})?$/.exec(name);
  const numbered = /^(d)(\d{1,7})(?:p([1-9]\d{0,2}))?$/.exec(name);
  const [, prefix = '', which = '', part = '0'] = lettered ?? numbered ?? [];
  const family = FAMILIES[prefix];
  const disk = lettered ? diskOfLetters(which) : Number(which);
  const partition = Number(part);
  if (family === undefined || disk >= family.disks || partition >= family.partitions) {
    return undefined;
  }
  return family.number(disk, partition);
}

/** a is 0, z is 25, aa is 26. */
function diskOfLetters(letters: string): number {
  let disk = 0;
  for (const letter of letters) disk = disk * 26 + letter.charCodeAt(0) - 'a'.charCodeAt(0) + 1;
  return disk - 1;
}
