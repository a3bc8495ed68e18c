/** Looking at a domain from outside: its pages and vCPUs for a core, registers for a debug key; and the NMI button. */

import type { Domain, Vcpu } from './common/domain.js';
import { ControlError } from './control-error.js';
import { PAGE_SIZE } from './machine/layout.js';
import type { Ram } from './machine/ram.js';
import { asMfn } from './machine/types.js';
import type { MemoryList } from './public/privcmd.js';
import type { Pv } from './pv/pv.js';
import { describeRegisters, vcpuContext } from './pv/vcpu-snapshot.js';

export interface InspectionParts {
  readonly ram: Ram;
  readonly pv: Pv;
  /** dom0's bounce buffer. */
  readonly bounce: Uint8Array;
  /** Leaves the processor empty; who runs next is loaded anew. */
  unloadAny(): void;
}

export class Inspection {
  readonly #parts: InspectionParts;

  constructor(parts: InspectionParts) {
    this.#parts = parts;
  }

  /** @throws ControlError ENOENT for a vCPU that the domain does not have. */
  sendNmi(domain: Domain, number: number): null {
    const vcpu = vcpuOf(domain, number);
    this.#parts.pv.vcpuOf(vcpu).nmiPending = true;
    vcpu.unblock();
    return null;
  }

  /** @throws ControlError ENOENT */
  context(domain: Domain, number: number): Uint8Array | undefined {
    const vcpu = vcpuOf(domain, number);
    if (!vcpu.isInitialised) return undefined;
    const { pv, ram } = this.#parts;
    this.#parts.unloadAny();
    return vcpuContext(pv.processor, ram, pv.vcpuOf(vcpu));
  }

  /** The registers of a vCPU in one line. */
  registers(vcpu: Vcpu): string {
    const { pv, ram } = this.#parts;
    this.#parts.unloadAny();
    return describeRegisters(pv.processor, ram, pv.vcpuOf(vcpu));
  }

  memoryList(domain: Domain): MemoryList {
    const { m2p } = this.#parts.pv.of(domain);
    const mfns = new Uint32Array(domain.totPages);
    const pfns = new Float64Array(domain.totPages);
    let found = 0;
    domain.frameMap.forEach((mfn) => {
      if (found === mfns.length || domain.kindOf(mfn) !== 'ram') return;
      mfns[found] = mfn;
      pfns[found] = m2p.get(mfn) ?? -1;
      found++;
    });
    return { mfns, pfns, sharedInfoMfn: domain.sharedInfo.mfn };
  }

  /** @throws ControlError EINVAL if they do not fit the bounce buffer. */
  readPages(domain: Domain, mfns: Uint32Array, at: number): null {
    const { ram, bounce } = this.#parts;
    requireInBounce(bounce, mfns.length, at);
    let to = at;
    for (const mfn of mfns) {
      const frame = domain.frameMap.peek(asMfn(mfn));
      if (frame === undefined) bounce.set(ZERO_PAGE, to);
      else bounce.set(ram.frameBytes(frame), to);
      to += PAGE_SIZE;
    }
    return null;
  }
}

/** @throws ControlError EINVAL if pages from byte `at` on are not in the bounce buffer. */
export function requireInBounce(bounce: Uint8Array, pages: number, at: number): void {
  const end = at + pages * PAGE_SIZE;
  if (Number.isInteger(at) && at >= 0 && end <= bounce.length) return;
  throw new ControlError('EINVAL', `bytes ${at} to ${end} are not in the bounce buffer`);
}

const ZERO_PAGE = new Uint8Array(PAGE_SIZE);

function vcpuOf(domain: Domain, number: number): Vcpu {
  const vcpu = domain.vcpus[number];
  if (vcpu === undefined) {
    throw new ControlError('ENOENT', `d${domain.id} has no vCPU ${number}`);
  }
  return vcpu;
}
