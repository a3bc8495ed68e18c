/** Why a request of a guest was refused, as a value that explains the error number. */

import { errnoName } from '../public/errno.js';

// biome-ignore format: one row per reason
export type RefusalReason =
  | { readonly kind: 'bad-type';     readonly mfn: number; readonly saw: number; readonly expected: number; readonly count: number; readonly pinned: boolean }
  | { readonly kind: 'no-frame';     readonly mfn: number }
  | { readonly kind: 'not-mappable'; readonly mfn: number }
  | { readonly kind: 'bad-flags';    readonly level: number; readonly entry: string; readonly flags: number }
  | { readonly kind: 'bad-entry';    readonly level: number; readonly mfn: number; readonly slot: number; readonly entry: string }
  | { readonly kind: 'xen-slot';     readonly slot: number }
  | { readonly kind: 'linear';       readonly mfn: number; readonly why: string }
  | { readonly kind: 'pin-state';    readonly mfn: number; readonly why: string }
  | { readonly kind: 'descriptor';   readonly mfn: number; readonly slot: number; readonly descriptor: string }
  | { readonly kind: 'argument';     readonly name: string; readonly why: string };

export interface Refusal {
  /** Negative error number that the guest gets. */
  readonly result: number;
  readonly reason: RefusalReason;
}

/** By number (PGT). */
const TYPE_NAMES = ['none', 'l1', 'l2', 'l3', 'l4', 'seg_desc', 'shared', 'writable'] as const;
const hex = (n: number) => `0x${n.toString(16)}`;

/** The reason as one line, in the vocabulary of Xen's own log. */
export function refusalText({ result, reason }: Refusal): string {
  return `${errnoName(result) ?? result}: ${reasonText(reason)}`;
}

function reasonText(reason: RefusalReason): string {
  switch (reason.kind) {
    case 'bad-type': {
      const held = `held by ${reason.count} reference${reason.count === 1 ? '' : 's'}`;
      const pin = reason.pinned ? ', one of them its pin' : '';
      return `bad type (saw ${TYPE_NAMES[reason.saw]} != expected ${TYPE_NAMES[reason.expected]}) for mfn ${hex(reason.mfn)}, ${held}${pin}`;
    }
    case 'no-frame':
      return `mfn ${hex(reason.mfn)} is not a frame of this domain`;
    case 'not-mappable':
      return `mfn ${hex(reason.mfn)} belongs to another domain and is reached by its grant only`;
    case 'bad-flags':
      return `bad L${reason.level} flags ${hex(reason.flags)} in entry ${reason.entry}`;
    case 'bad-entry':
      return `slot ${hex(reason.slot)} of L${reason.level} mfn ${hex(reason.mfn)} holds ${reason.entry}`;
    case 'xen-slot':
      return `L4 slot ${hex(reason.slot)} is Xen's`;
    case 'linear':
      return `linear page table mfn ${hex(reason.mfn)}: ${reason.why}`;
    case 'pin-state':
      return `mfn ${hex(reason.mfn)} ${reason.why}`;
    case 'descriptor':
      return `descriptor ${reason.slot} of mfn ${hex(reason.mfn)} is ${reason.descriptor}`;
    case 'argument':
      return `${reason.name}: ${reason.why}`;
  }
}
