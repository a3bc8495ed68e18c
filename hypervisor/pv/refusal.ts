/** Why a request of a guest was refused: the rule it broke and the figures, as a value that is put into words when somebody listens. */

import { inWords } from '../common/words.js';
import { pteText } from './pte.js';

// biome-ignore format: one row per reason
export type RefusalReason =
  | { readonly kind: 'bad-type';     readonly mfn: number; readonly saw: number; readonly expected: number; readonly count: number; readonly refs: number }
  | { readonly kind: 'no-frame';     readonly mfn: number }
  | { readonly kind: 'not-mappable'; readonly mfn: number }
  | { readonly kind: 'bad-flags';    readonly level: number; readonly lo: number; readonly hi: number; readonly flags: number }
  | { readonly kind: 'bad-entry';    readonly level: number; readonly mfn: number; readonly slot: number; readonly lo: number; readonly hi: number }
  | { readonly kind: 'xen-slot';     readonly slot: number }
  | { readonly kind: 'linear';       readonly mfn: number; readonly level: number; readonly rule: string }
  | { readonly kind: 'pin-state';    readonly mfn: number; readonly state: string }
  | { readonly kind: 'context';      readonly rule: string }
  | { readonly kind: 'descriptor';   readonly mfn: number; readonly slot: number; readonly lo: number; readonly hi: number };

export interface Refusal {
  /** Negative error number that the guest gets. */
  readonly result: number;
  readonly reason: RefusalReason;
}

/** What of the domain goes into the words. */
export interface RefusalSetting {
  readonly domid: number;
  /** MFNs of the domain end here. */
  readonly capacity: number;
  /** Who holds references on a frame, '' if that cannot be told. */
  holders(mfn: number): string;
  /** The grant by which a frame of another domain is seen, '' if that cannot be told. */
  grantOf(mfn: number): string;
}

/** By number (PGT). */
const TYPE_NAMES = ['none', 'l1', 'l2', 'l3', 'l4', 'seg_desc', 'shared', 'writable'] as const;
const WRITABLE = 7;
const SEG_DESC = 5;

/** What an entry of each level may not ask for. */
const FLAG_RULES = {
  table: 'PWT, PCD, PSE and GLOBAL are not for guests above level 1',
  page: "PWT, PCD and PAT are for domains with devices, bit 62 is Xen's mark of a grant",
} as const;

/** The reason as one line, in the vocabulary of Xen's own log. */
export function refusalText({ reason }: Refusal, setting: RefusalSetting): string {
  switch (reason.kind) {
    case 'bad-type':
      return badType(reason, setting);
    case 'no-frame':
      return inWords('mfn %x is not a frame of d%d, whose mfns end below %x', [
        reason.mfn,
        setting.domid,
        setting.capacity,
      ]);
    case 'not-mappable': {
      const grant = setting.grantOf(reason.mfn);
      const by = grant === '' ? '' : `, by ${grant}`;
      return `mfn ${hex(reason.mfn)} is a frame of another domain${by}: GNTTABOP_map_grant_ref alone may map it`;
    }
    case 'bad-flags': {
      const { level, flags, lo, hi } = reason;
      const rule = level === 1 ? FLAG_RULES.page : FLAG_RULES.table;
      return `bad L${level} flags ${hex(flags)} in entry ${pteText(lo, hi)}: ${rule}`;
    }
    case 'bad-entry': {
      const { level, mfn, slot, lo, hi } = reason;
      return `it is entry ${pteText(lo, hi)} for slot ${hex(slot)} of L${level} mfn ${hex(mfn)}`;
    }
    case 'xen-slot':
      return `L4 slot ${hex(reason.slot)} is Xen's: slots 0x100 to 0x10f are not for guests`;
    case 'linear':
      return `linear page table: L${reason.level} mfn ${hex(reason.mfn)} ${reason.rule}`;
    case 'pin-state':
      return `mfn ${hex(reason.mfn)} of d${setting.domid} ${reason.state}`;
    case 'context':
      return reason.rule;
    case 'descriptor':
      return `descriptor ${hex(reason.slot)} of mfn ${hex(reason.mfn)} is ${pteText(reason.lo, reason.hi)}: of system descriptors guests may have call gates to their own code only`;
  }
}

function badType(
  { mfn, saw, expected, count, refs }: Extract<RefusalReason, { kind: 'bad-type' }>,
  { domid, holders }: RefusalSetting,
): string {
  const seen = TYPE_NAMES[saw] ?? saw;
  const wanted = TYPE_NAMES[expected] ?? expected;
  const held = holders(mfn);
  const figures = `for mfn ${hex(mfn)} of d${domid}, type count ${count}, references ${refs}`;
  const by = held === '' ? '' : `; held by ${held}`;
  return `bad type (saw ${seen} != expected ${wanted}) ${figures}: ${typeRule(saw, expected)}${by}`;
}

/** The rule of direct paging that two types of one frame would break. */
function typeRule(saw: number, expected: number): string {
  const isTable = (type: number) => type < SEG_DESC;
  if (expected === WRITABLE) {
    const use = isTable(saw) ? 'page table' : 'descriptor table';
    return `a ${use} in use may be mapped read-only only`;
  }
  const use = isTable(expected) ? 'page table' : 'descriptor table';
  if (saw === WRITABLE) return `a ${use} must have no writable mapping`;
  return isTable(saw) && isTable(expected)
    ? 'a page table is of one level only, or of none'
    : 'a page is a page table or a descriptor table, not both';
}

const hex = (value: number): string => inWords('%x', [value]);
