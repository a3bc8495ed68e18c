/** Which top-level page tables a vCPU uses: MMUEXT_NEW_BASEPTR, MOV CR3, MMUEXT_NEW_USER_BASEPTR. Spec: xen-abi §1.5. */

import { PGT } from './page-types.js';
import type { PvVcpu } from './pv-vcpu.js';
import type { Segments } from './segments.js';
import type { Traps } from './traps.js';

export class PageTableBase {
  readonly #traps: Traps;
  readonly #segments: Segments;

  constructor(traps: Traps, segments: Segments) {
    this.#traps = traps;
    this.#segments = segments;
  }

  /** The kernel's page tables. @returns 0, -EINVAL, -EPERM, or -ERESTART while a big tree is being validated. */
  newKernelBase(v: PvVcpu, mfn: number): number {
    const { types } = v.pv;
    const old = v.kernelTable;
    if (mfn === old) {
      // Loading the same base again is a request to flush.
      this.#segments.dropLdt(v);
      if (v.inKernel) this.#traps.loadAddressSpace(v);
      return 0;
    }
    const result = types.getPageAndType(mfn, PGT.L4);
    if (result) return result;
    this.#segments.dropLdt(v);
    v.kernelTable = mfn;
    if (v.inKernel) this.#traps.loadAddressSpace(v);
    if (old) types.putPageAndType(old);
    return 0;
  }

  /** The page tables of applications, 0 for none. @returns as newKernelBase. */
  newUserBase(v: PvVcpu, mfn: number): number {
    const { types } = v.pv;
    const old = v.userTable;
    if (mfn === old) return 0;
    if (mfn !== 0) {
      const result = types.getPageAndType(mfn, PGT.L4);
      if (result) return result;
    }
    v.userTable = mfn;
    if (old) types.putPageAndType(old);
    return 0;
  }
}
