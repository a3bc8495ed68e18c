/**
 * Grants that domain 0 uses. It reads RAM itself, so mapping means holding the frame; copying goes to or from its bounce
 * buffer and is done here, while no guest runs.
 */

import type { Domain } from './common/domain.js';
import type { FramePool } from './common/frame-pool.js';
import { ControlError } from './control-error.js';
import type { HypervisorHost } from './host.js';
import { PAGE_SIZE } from './machine/layout.js';
import type { Ram } from './machine/ram.js';
import type { Frame } from './machine/types.js';
import { GNTST, type GrantStatus } from './public/grant-table.js';
import { GRANT_COPY, type GrantMapping } from './public/privcmd.js';

const { REF, OFFSET, LENGTH, AT, WORDS } = GRANT_COPY;

export interface Dom0GrantsParts {
  readonly host: Pick<HypervisorHost, 'bounce'>;
  readonly ram: Ram;
  readonly frames: FramePool;
  /** The bytes of a frame may have changed: what was decoded from it is out of date. */
  frameWritten(frame: Frame): void;
}

export class Dom0Grants {
  readonly #dom0: Domain;
  readonly #parts: Dom0GrantsParts;

  constructor(dom0: Domain, parts: Dom0GrantsParts) {
    this.#dom0 = dom0;
    this.#parts = parts;
  }

  /** Each reference is mapped or refused by itself. */
  map(granter: Domain, refs: readonly number[], write: boolean): { grants: GrantMapping[] } {
    return { grants: refs.map((ref) => this.#map(granter, ref, write)) };
  }

  /** All of them or none. @throws ControlError EINVAL if a handle is not in use. */
  unmap(handles: readonly number[]): null {
    this.#requireAll(handles);
    const { frames } = this.#parts;
    const { maptrack } = this.#dom0.grants;
    for (const handle of handles) {
      const mapping = maptrack.lookup(handle);
      // the same handle twice in one call: it is gone the second time
      if (!mapping) continue;
      // dom0 writes to RAM behind the processor's back; the page may hold a program read from a disk.
      if (mapping.write) this.#parts.frameWritten(mapping.frame);
      maptrack.remove(handle);
      frames.drop(mapping.frame);
    }
    return null;
  }

  /** @throws ControlError EINVAL if a handle is not in use. */
  written(handles: readonly number[]): null {
    this.#requireAll(handles);
    const { maptrack } = this.#dom0.grants;
    for (const handle of handles) {
      const mapping = maptrack.lookup(handle);
      if (mapping) this.#parts.frameWritten(mapping.frame);
    }
    return null;
  }

  /** Each copy is done or refused by itself. */
  copy(granter: Domain, copies: Uint32Array, toGuest: boolean): { statuses: Int8Array } {
    const statuses = new Int8Array(Math.floor(copies.length / WORDS));
    for (let n = 0; n < statuses.length; n++) {
      statuses[n] = this.#copy(granter, copies, n * WORDS, toGuest);
    }
    return { statuses };
  }

  #map(granter: Domain, ref: number, write: boolean): GrantMapping {
    const { frames, ram } = this.#parts;
    const { maptrack } = this.#dom0.grants;
    if (maptrack.isFull) {
      return { status: GNTST.no_device_space, why: 'domain 0 has too many grants mapped' };
    }
    const grant = granter.grants.acquire(ref, this.#dom0.id, write);
    if (grant.status !== GNTST.okay) return { status: grant.status, why: grant.why };
    frames.hold(grant.frame);
    const handle = maptrack.add({
      granter: granter.grants,
      ref,
      write,
      frame: grant.frame,
      alias: undefined,
      flags: 0,
      hostMapped: true,
      deviceMapped: false,
    });
    return { handle, address: ram.addressOf(grant.frame) };
  }

  #copy(granter: Domain, copies: Uint32Array, word: number, toGuest: boolean): GrantStatus {
    const { ram, host } = this.#parts;
    const field = (index: number): number => copies[word + index] ?? 0;
    const [ref, offset, length, at] = [field(REF), field(OFFSET), field(LENGTH), field(AT)];
    if (offset + length > PAGE_SIZE || at + length > host.bounce.length) return GNTST.bad_copy_arg;
    const grant = granter.grants.acquire(ref, this.#dom0.id, toGuest);
    if (grant.status !== GNTST.okay) return grant.status;
    const address = ram.addressOf(grant.frame) + offset;
    if (toGuest) {
      ram.u8.set(host.bounce.subarray(at, at + length), address);
      this.#parts.frameWritten(grant.frame);
    } else {
      host.bounce.set(ram.u8.subarray(address, address + length), at);
    }
    granter.grants.release(ref, toGuest);
    return GNTST.okay;
  }

  #requireAll(handles: readonly number[]): void {
    const { maptrack } = this.#dom0.grants;
    const missing = handles.find((handle) => !maptrack.lookup(handle));
    if (missing === undefined) return;
    throw new ControlError('EINVAL', `there is no grant handle ${missing}`);
  }
}
