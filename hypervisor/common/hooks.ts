/**
 * What common needs from the layers above it, as interfaces that they fill in: common never imports pv.
 * `D` is Domain, `V` is Vcpu; parameters here so that domain.ts and this file do not import each other.
 */

import type { Frame, Mfn, Pfn, VirtAddr } from '../machine/types.js';
import type { GrantStatus } from '../public/grant-table.js';

/** Where a grant is mapped: at a virtual address of the current address space, or in an entry named by machine address. */
export type GrantTarget =
  | { readonly kind: 'va'; readonly va: VirtAddr }
  | { readonly kind: 'pte'; readonly mfn: Mfn; readonly offset: number };

/** Filled in by pv: pages come and go. */
export interface PageHooks<D> {
  /** A fresh page of the domain: one reference, held by the allocation; no type. `xen` pages are not the domain's to free. */
  pageAdded(domain: D, mfn: Mfn, frame: Frame, kind: PageKind): void;
  /** The MFN is about to leave the domain's map: forget counts, M2P entry, cached translations. */
  pageRemoved(domain: D, mfn: Mfn, frame: Frame): void;
  /** An MFN has another frame with the same bytes: forget cached translations. */
  pageMoved(domain: D): void;
}

/** Filled in by pv: page types, page tables, the machine-to-physical table. */
export interface MemoryHooks<D, V> extends PageHooks<D> {
  /**
   * The guest gives the page up: drops the reference of the allocation. When the last reference goes (now, or when the
   * last mapping does) pv calls `domain.releasePage(mfn)`.
   * @returns false if the page was given up before.
   */
  dropAllocation(domain: D, mfn: Mfn): boolean;
  /** @returns whether nothing refers to the page but its allocation, which may be Xen's: it would go at once. */
  isIdle(domain: D, mfn: Mfn): boolean;
  /** Sets the machine-to-physical entry. */
  setPhysical(domain: D, mfn: Mfn, pfn: Pfn): void;
  /** Takes a reference for a grant, a vcpu_info or dom0; a writable one also the type writable. @returns false if refused. */
  takeReference(domain: D, mfn: Mfn, writable: boolean): boolean;
  dropReference(domain: D, mfn: Mfn, writable: boolean): void;
  /** Writes the entry of a grant mapping. */
  mapGrant(vcpu: V, target: GrantTarget, alias: Mfn, flags: GrantMapFlags): GrantStatus;
  /** Clears (or replaces by the entry at `replacement`) the entry of a grant mapping, if it maps `alias`. */
  unmapGrant(vcpu: V, target: GrantTarget, alias: Mfn, replacement?: VirtAddr): GrantStatus;
}

export interface GrantMapFlags {
  readonly readonly: boolean;
  /** Reachable from guest-user mode as well. */
  readonly application: boolean;
  /** Software bits 9 to 11 of the entry. */
  readonly available: number;
}

/** ram: the domain's own. xen: shared info and grant frames, shared with the domain. alias: another domain's frame. */
export type PageKind = 'ram' | 'xen' | 'alias';

/** Filled in by hypervisor/index.ts. */
export interface HostHooks<D, V> {
  /** A host-side write changed bytes that may be code. */
  frameWritten(frame: Frame): void;
  /** What held the vCPU back (a wait, a pause, being offline) is over: it runs if nothing else holds it. */
  wake(vcpu: V): void;
  /** The vCPU may not run any more (blocked, paused, shut down, offline): it is left at the next exit. */
  sleep(vcpu: V): void;
  /** The domain shut down or crashed (its fields say which): tell dom0. */
  domainShutdown(domain: D): void;
  /** A line for the hypervisor's log. */
  log(text: string): void;
}
