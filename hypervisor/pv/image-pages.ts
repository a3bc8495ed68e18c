/**
 * Which pages of a new domain hold nothing but a page of its kernel or RAM disk: they can be shared with other domains of
 * the same image. Pages in which a segment begins half-way, pages that two segments claim, and the hypercall page are no such pages.
 */

import { PAGE_SIZE } from '../machine/layout.js';
import type { StartOfDay } from './start-of-day.js';

export interface ImagePage {
  /** Name of the image's contents. */
  readonly name: string;
  /** Of the page in the image, bytes. */
  readonly offset: number;
  /** At most a page; the rest of it is zero. */
  readonly bytes: Uint8Array;
}

/** By PFN. */
export type ImagePages = ReadonlyMap<number, ImagePage>;

/** An image of a domain, if it has a name. */
export interface NamedImages {
  readonly kernel: Uint8Array;
  readonly kernelName?: string;
  readonly ramdisk?: Uint8Array;
  readonly ramdiskName?: string;
}

export function imagePages(plan: StartOfDay, images: NamedImages): ImagePages {
  const pages = new Map<number, ImagePage>();
  const { kernel, kernelName, ramdisk, ramdiskName } = images;
  if (kernelName !== undefined) addKernel(pages, plan, kernel, kernelName);
  if (ramdisk !== undefined && ramdiskName !== undefined) {
    for (let offset = 0; offset < ramdisk.length; offset += PAGE_SIZE) {
      const bytes = ramdisk.subarray(offset, offset + PAGE_SIZE);
      pages.set(plan.ramdisk.pfn + offset / PAGE_SIZE, { name: ramdiskName, offset, bytes });
    }
  }
  return pages;
}

function addKernel(
  pages: Map<number, ImagePage>,
  plan: StartOfDay,
  kernel: Uint8Array,
  name: string,
): void {
  const claims = claimedPages(plan);
  for (const segment of plan.segments) {
    const end = segment.address + segment.fileSize;
    let address = Math.ceil(segment.address / PAGE_SIZE) * PAGE_SIZE;
    for (; address < end; address += PAGE_SIZE) {
      const pfn = address / PAGE_SIZE;
      if (claims.get(pfn) !== 1 || pfn === plan.hypercallPage) continue;
      const offset = segment.offset + address - segment.address;
      const bytes = kernel.subarray(offset, offset + Math.min(PAGE_SIZE, end - address));
      pages.set(pfn, { name, offset, bytes });
    }
  }
}

/** How many segments have bytes in each page. */
function claimedPages({ segments }: StartOfDay): Map<number, number> {
  const claims = new Map<number, number>();
  for (const { address, fileSize } of segments) {
    if (fileSize === 0) continue;
    const last = Math.floor((address + fileSize - 1) / PAGE_SIZE);
    for (let pfn = Math.floor(address / PAGE_SIZE); pfn <= last; pfn++) {
      claims.set(pfn, (claims.get(pfn) ?? 0) + 1);
    }
  }
  return claims;
}
