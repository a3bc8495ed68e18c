/** Branded numbers of the machine: quantities that are all numbers and must never be mixed. */

declare const brand: unique symbol;
type Brand<Base, Name extends string> = Base & { readonly [brand]: Name };

/** Machine frame number: what a guest's page-table entry holds. Each domain has its own machine-frame space. */
export type Mfn = Brand<number, 'Mfn'>;
/** Pseudo-physical frame number: a guest's own contiguous numbering of its memory. */
export type Pfn = Brand<number, 'Pfn'>;
/** Host frame: index of a 4 KiB frame in RAM (byte address / 4096). 0 is never a valid frame. */
export type Frame = Brand<number, 'Frame'>;
/** Byte address in RAM, 0 to 2^32 - 1: what linear-memory loads and stores take. */
export type HostAddr = Brand<number, 'HostAddr'>;
/**
 * Canonical guest-virtual address as a signed 48-bit integer, -2^47 to 2^47 - 1: the kernel half is negative.
 * A number holds it exactly, so no BigInt is needed on hot paths. A non-canonical address has no VirtAddr.
 */
export type VirtAddr = Brand<number, 'VirtAddr'>;
/** Domain number, 0 to 0x7fef. */
export type DomId = Brand<number, 'DomId'>;
/** Event-channel port of one domain. */
export type Port = Brand<number, 'Port'>;
/** Index in a domain's grant table. */
export type GrantRef = Brand<number, 'GrantRef'>;

export const asMfn = (value: number): Mfn => value as Mfn;
export const asPfn = (value: number): Pfn => value as Pfn;
export const asFrame = (value: number): Frame => value as Frame;
export const asHostAddr = (value: number): HostAddr => value as HostAddr;
export const asVirtAddr = (value: number): VirtAddr => value as VirtAddr;
export const asDomId = (value: number): DomId => value as DomId;
export const asPort = (value: number): Port => value as Port;
export const asGrantRef = (value: number): GrantRef => value as GrantRef;

const TWO_32 = 0x1_0000_0000;
const TWO_47 = 0x8000_0000_0000;

/**
 * The canonical address made of two register halves.
 * @returns undefined if bits 63 to 47 are not all equal (SDM 1 §3.3.7.1).
 */
export function canonical(lo: number, hi: number): VirtAddr | undefined {
  const signed = (hi | 0) * TWO_32 + (lo >>> 0);
  return signed >= -TWO_47 && signed < TWO_47 ? asVirtAddr(signed) : undefined;
}

/** The low 32 bits of an address, unsigned. */
export const lowHalf = (va: VirtAddr): number => va >>> 0;
/** The high 32 bits of an address, unsigned, sign-extended from bit 47. */
export const highHalf = (va: VirtAddr): number => Math.floor(va / TWO_32) >>> 0;
/** The address as the unsigned 64-bit value a guest sees. */
export const toU64 = (va: VirtAddr): bigint => BigInt.asUintN(64, BigInt(va));
/** The address that a 64-bit value names, undefined if it is not canonical. */
export function fromU64(value: bigint): VirtAddr | undefined {
  const signed = BigInt.asIntN(64, value);
  return BigInt.asIntN(48, value) === signed ? asVirtAddr(Number(signed)) : undefined;
}
