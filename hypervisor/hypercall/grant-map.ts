/** Mapping and unmapping of grants. Spec: grant_table.h, gnttab_map_grant_ref and gnttab_unmap_grant_ref. */

import type { GrantTarget } from '../common/hooks.js';
import type { Mapping } from '../common/maptrack.js';
import { PAGE_SIZE } from '../machine/layout.js';
import {
  asMfn,
  asVirtAddr,
  type Frame,
  fromU64,
  type Mfn,
  type VirtAddr,
} from '../machine/types.js';
import { ERRNO } from '../public/errno.js';
import * as abi from '../public/grant-table.js';
import { DOMID } from '../public/xen.js';
import type { Hypercall } from './hypercall.js';

const { GNTMAP, GNTST } = abi;
const EFAULT = -ERRNO.EFAULT;
const PAGE = BigInt(PAGE_SIZE);

type MapRequest = ReturnType<typeof abi.gnttabMapGrantRef.decode>;

export function mapGrantRef(call: Hypercall, at: VirtAddr): number {
  const input = call.guest.decode(abi.gnttabMapGrantRef, at);
  if (!input) return EFAULT;
  const output = map(call, input);
  return call.guest.encode(abi.gnttabMapGrantRef, at, output) ? 0 : EFAULT;
}

function map(call: Hypercall, input: MapRequest): Partial<MapRequest> {
  if ((input.flags & (GNTMAP.HOST_MAP | GNTMAP.DEVICE_MAP)) === 0) {
    return refused(call, GNTST.general_error, 'neither a host nor a device mapping is wanted');
  }
  const granter = input.dom === DOMID.SELF ? call.domain : call.hv.lookupDomain(input.dom);
  if (!granter) return refused(call, GNTST.bad_domain, 'there is no d%d', input.dom);
  const { maptrack } = call.domain.grants;
  if (maptrack.isFull) {
    return refused(call, GNTST.no_space, 'maptrack is full: %d grants are mapped', maptrack.size);
  }
  const write = (input.flags & GNTMAP.READONLY) === 0;
  const grant = granter.grants.acquire(input.ref, call.domain.id, write);
  if (grant.status !== GNTST.okay) {
    return call.hv.wantsReasons() ? refused(call, grant.status, grant.why) : grant;
  }
  const alias = call.domain.alias(grant.frame);
  const status = alias === undefined ? GNTST.no_space : place(call, input, alias);
  if (alias === undefined || status !== GNTST.okay) {
    if (alias !== undefined) call.domain.dropAlias(alias);
    granter.grants.release(input.ref, write);
    if (alias === undefined) call.refuse(0, 'd%d has no mfn left for the frame', call.domain.id);
    return { status };
  }
  const busMfn = granter === call.domain ? grant.mfn : alias;
  const mapping = { ...newMapping(granter.grants, input, grant.frame, alias, write), busMfn };
  const handle = call.domain.grants.maptrack.add(mapping);
  return { status: GNTST.okay, handle, devBusAddr: BigInt(mapping.busMfn) * PAGE };
}

function newMapping(
  granter: Mapping['granter'],
  { ref, flags }: MapRequest,
  frame: Frame,
  alias: Mfn,
  write: boolean,
): Mapping {
  const hostMapped = (flags & GNTMAP.HOST_MAP) !== 0;
  const deviceMapped = (flags & GNTMAP.DEVICE_MAP) !== 0;
  return { granter, ref, write, frame, alias, flags, hostMapped, deviceMapped };
}

function refused(
  call: Hypercall,
  status: abi.GrantStatus,
  format: string,
  ...figures: readonly number[]
): { status: abi.GrantStatus } {
  call.refuse(0, format, ...figures);
  return { status };
}

const NOT_CANONICAL = 'the address of the mapping is not canonical';
const NO_ENTRY = 'there is no entry of an L1 table in use at %s';

/** Where a mapping is wanted, or was, as the guest named it. */
const placeText = (hostAddr: bigint): string => `0x${hostAddr.toString(16)}`;

/** Writes the page-table entry, if a host mapping is wanted. */
function place(call: Hypercall, input: MapRequest, alias: Mfn): abi.GrantStatus {
  if (!(input.flags & GNTMAP.HOST_MAP)) return GNTST.okay;
  const target = targetOf(input.hostAddr, input.flags);
  if (!target) return refused(call, GNTST.bad_virt_addr, NOT_CANONICAL).status;
  const status = call.domain.services.memory.mapGrant(call.vcpu.vcpu, target, alias, {
    readonly: (input.flags & GNTMAP.READONLY) !== 0,
    application: (input.flags & GNTMAP.APPLICATION_MAP) !== 0,
    available: (input.flags >>> GNTMAP.AVAIL_SHIFT) & 7,
  });
  if (status !== GNTST.okay) call.refuse(0, NO_ENTRY, placeText(input.hostAddr));
  return status;
}

/** Where a host mapping lies: undefined for an address that cannot be one. */
function targetOf(hostAddr: bigint, flags: number): GrantTarget | undefined {
  if (flags & GNTMAP.CONTAINS_PTE) {
    const mfn = asMfn(Number(hostAddr / PAGE));
    return { kind: 'pte', mfn, offset: Number(hostAddr % PAGE) };
  }
  const va = fromU64(hostAddr);
  return va === undefined ? undefined : { kind: 'va', va };
}

export function unmapGrantRef(call: Hypercall, at: VirtAddr): number {
  const input = call.guest.decode(abi.gnttabUnmapGrantRef, at);
  if (!input) return EFAULT;
  const status = unmap(call, input.handle, input.hostAddr, input.devBusAddr, undefined);
  return call.guest.encode(abi.gnttabUnmapGrantRef, at, { status }) ? 0 : EFAULT;
}

/** As unmap, but the entry at newAddr moves to where the grant was mapped. */
export function unmapAndReplace(call: Hypercall, at: VirtAddr): number {
  const input = call.guest.decode(abi.gnttabUnmapAndReplace, at);
  if (!input) return EFAULT;
  const replacement = fromU64(input.newAddr);
  const status =
    replacement === undefined
      ? refused(call, GNTST.bad_virt_addr, NOT_CANONICAL).status
      : unmap(call, input.handle, input.hostAddr, 0n, replacement);
  return call.guest.encode(abi.gnttabUnmapAndReplace, at, { status }) ? 0 : EFAULT;
}

function unmap(
  call: Hypercall,
  handle: number,
  hostAddr: bigint,
  devBusAddr: bigint,
  replacement: VirtAddr | undefined,
): abi.GrantStatus {
  const { maptrack } = call.domain.grants;
  const mapping = maptrack.lookup(handle);
  if (mapping?.alias === undefined) {
    const rule = 'd%d has mapped no grant under handle %d';
    return refused(call, GNTST.bad_handle, rule, call.domain.id, handle).status;
  }
  const { alias } = mapping;
  if (devBusAddr !== 0n && mapping.deviceMapped) {
    const busMfn = mapping.busMfn ?? alias;
    if (devBusAddr !== BigInt(busMfn) * PAGE) {
      const rule = 'handle %d: devices name the page by mfn %x';
      return refused(call, GNTST.general_error, rule, handle, busMfn).status;
    }
    mapping.deviceMapped = false;
  }
  if (hostAddr !== 0n && mapping.hostMapped) {
    const status = removeHostMapping(call, mapping, alias, hostAddr, replacement);
    if (status !== GNTST.okay) return status;
    mapping.hostMapped = false;
  }
  if (mapping.hostMapped || mapping.deviceMapped) return GNTST.okay;
  maptrack.remove(handle);
  call.domain.dropAlias(alias);
  return GNTST.okay;
}

function removeHostMapping(
  call: Hypercall,
  mapping: Mapping,
  alias: Mfn,
  hostAddr: bigint,
  replacement: VirtAddr | undefined,
): abi.GrantStatus {
  const target = targetOf(hostAddr, mapping.flags);
  if (!target) return refused(call, GNTST.bad_virt_addr, NOT_CANONICAL).status;
  const source =
    replacement === undefined || replacement === 0 ? undefined : asVirtAddr(replacement);
  const { memory } = call.domain.services;
  const status = memory.unmapGrant(call.vcpu.vcpu, target, alias, source);
  if (status !== GNTST.okay) {
    const rule = 'the entry at %s does not map mfn %x, grant %d, or there is none to replace it';
    call.refuse(0, rule, placeText(hostAddr), alias, mapping.ref);
  }
  return status;
}
