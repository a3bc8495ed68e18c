/**
 * The MMU in WebAssembly: the slow paths behind the software TLB.
 * Spec: SDM 3A §4.5 (4-level paging), §4.6 (access rights), §4.7 (page faults), §4.8 (accessed and dirty flags).
 *
 *   guest-virtual --4 tables of PTEs--> machine frame --frame map--> host frame
 *
 * A TLB entry says: for address a with a - tag <= 4096 - size (unsigned), host address = low half of a + addend.
 * An invalid entry has as tag a page that belongs in another entry: nothing that indexes here can match it.
 */

import { LAYOUT, PAGE_SIZE } from '../machine/layout.js';
import type { Value } from '../x86/builder.js';
import { ACCESS, EXIT, PAGE_FAULT, VECTOR } from '../x86/processor.js';
import { SLOT } from '../x86/state.js';
import type { Label } from './function-builder.js';
import { emitBreakCheck, emitCallGuard, emitGuard } from './guard.js';
import { IntegerBuilder } from './integer-builder.js';
import { CODE_MAP, FRAME_INFO, INTERNAL, SCRATCH, TLB } from './record.js';
import { FETCH, INTERNAL_SIGNATURES, type InternalName, type Runtime } from './runtime.js';
import type { FunctionBody } from './wasm-module.js';

export const TLB_READ = LAYOUT.TLB + TLB.READ;
export const TLB_WRITE = LAYOUT.TLB + TLB.WRITE;
export const TLB_EXECUTE = LAYOUT.TLB + TLB.EXECUTE;
export const SCRATCH_CROSSING = LAYOUT.SCRATCH + SCRATCH.CROSSING;
const LOG = LAYOUT.SCRATCH + SCRATCH.LOG;

const ENTRY_SIZE = 16;
const ENTRY_MASK = (TLB.ENTRIES - 1) * ENTRY_SIZE;
const OFFSET_MASK = PAGE_SIZE - 1;

/** Bits of a page-table entry (SDM 3A table 4-20). */
const PTE = { PRESENT: 1, WRITE: 2, USER: 4, ACCESSED: 0x20, DIRTY: 0x40, LARGE: 0x80 } as const;

/** Offset of an address's entry in a TLB array. */
export function tlbEntry(b: IntegerBuilder, address: Value): Value {
  const low = b.op('i32.wrap_i64', address);
  return b.and(b.shrU(low, 12 - 4), b.const(32, ENTRY_MASK));
}

type Emit = (b: IntegerBuilder, runtime: Runtime) => void;

/** Emits a function of INTERNAL_SIGNATURES. */
export function emitInternal(name: InternalName, runtime: Runtime): FunctionBody {
  const builder = new IntegerBuilder(INTERNAL_SIGNATURES[name]);
  EMITTERS[name](builder, runtime);
  return builder.body();
}

const EMITTERS: Readonly<Record<InternalName, Emit>> = {
  walk: emitWalk,
  guard: emitGuard,
  readSlow: emitReadSlow,
  writeSlow: emitWriteSlow,
  storeSlow: emitStoreSlow,
  commit: emitCommit,
  fetch: emitFetch,
  flush: emitFlush,
  flushPage: emitFlushPage,
  translate: emitTranslate,
};

const call = (b: IntegerBuilder, runtime: Runtime, name: InternalName, ...args: Value[]): Value =>
  b.callIndex(runtime.internal[name].index, runtime.internal[name].signature, args);

const field = (b: IntegerBuilder, slot: number, type: 'i32' | 'i64' = 'i32'): Value =>
  b.hostLoad(b.const(32, slot), type);

const setField = (b: IntegerBuilder, slot: number, value: Value): void =>
  b.hostStore(b.const(32, slot), value, value.type === 'i64' ? 8 : 4);

function recordException(b: IntegerBuilder, vector: Value | number, error: Value): void {
  setField(b, SLOT.EXIT_REASON, b.const(32, EXIT.EXCEPTION));
  setField(b, SLOT.EXIT_VECTOR, typeof vector === 'number' ? b.const(32, vector) : vector);
  setField(b, SLOT.EXIT_ERROR, error);
}

const pageOf = (b: IntegerBuilder, address: Value): Value =>
  b.and(address, b.const(64, -PAGE_SIZE));

const offsetOf = (b: IntegerBuilder, address: Value): Value =>
  b.and(b.op('i32.wrap_i64', address), b.const(32, OFFSET_MASK));

// ---- the walk

function emitWalk(b: IntegerBuilder, runtime: Runtime): void {
  const [address, access, stack] = [b.fixed(0), b.fixed(1), b.fixed(2)];
  const sign = b.op('i64.shr_s', b.shl(address, 16), b.const(64, 16));
  b.if(b.ne(sign, address), () => {
    const vector = b.select(stack, b.const(32, VECTOR.SS), b.const(32, VECTOR.GP));
    recordException(b, vector, b.const(32, 0));
    b.return(b.const(32, 0));
  });
  const error = b.variable(b.const(32, 0));
  b.labelled('block', (fault) => {
    emitHypervisorRange(b, runtime, { address, access, error }, fault);
    emitLevels(b, { address, access, error }, fault);
  });
  const kind = b.select(
    b.op('i32.eq', access, b.const(32, ACCESS.EXECUTE)),
    b.const(32, PAGE_FAULT.USER | PAGE_FAULT.FETCH),
    b.or(b.shl(access, 1), b.const(32, PAGE_FAULT.USER)), // ACCESS.WRITE << 1 = PAGE_FAULT.WRITE
  );
  recordException(b, VECTOR.PF, b.or(error, kind));
  setField(b, SLOT.EXIT_CR2, address);
  b.return(b.const(32, 0));
}

interface Walk {
  readonly address: Value;
  readonly access: Value;
  readonly error: Value;
}

/** 0xFFFF8000_00000000 to 0xFFFF87FF_FFFFFFFF belongs to the hypervisor (xen.h, HYPERVISOR_VIRT_START): the host decides. */
function emitHypervisorRange(b: IntegerBuilder, runtime: Runtime, walk: Walk, fault: Label): void {
  const { address, access } = walk;
  const top = b.op('i64.shr_s', address, b.const(64, 43));
  b.if(b.eq(top, b.const(64, -16)), () => {
    const high = b.op('i32.wrap_i64', b.shrU(address, 32));
    const index = runtime.host.get('hypervisorRange') ?? 0;
    const signature = { params: ['i32', 'i32', 'i32'], results: ['i32'] } as const;
    const low = b.op('i32.wrap_i64', address);
    const host = b.callIndex(index, signature, [low, high, access]);
    b.if(host, () => b.return(host));
    b.br(fault);
  });
}

/** Four levels: first whether all is present, then what all of them allow, then accessed and dirty bits. */
function emitLevels(b: IntegerBuilder, walk: Walk, fault: Label): void {
  const { address, access, error } = walk;
  const table = b.variable(field(b, SLOT.WALK_L4));
  const allowed = b.variable(b.const(32, PTE.WRITE | PTE.USER));
  const noExecute = b.variable(b.const(64, 0));
  const entries: { at: Value; low: Value }[] = [];
  const mapped = b.variable(b.const(32, 0));
  for (const shift of [39, 30, 21, 12]) {
    const index = b.and(b.op('i32.wrap_i64', b.shrU(address, shift)), b.const(32, 511));
    const at = b.add(table, b.shl(index, 3));
    const entry = b.hostLoad(at, 'i64');
    const low = b.op('i32.wrap_i64', entry);
    b.brIf(fault, b.isZero(b.and(low, b.const(32, PTE.PRESENT))));
    b.assign(error, b.const(32, PAGE_FAULT.PRESENT | PAGE_FAULT.RESERVED));
    if (shift > 12) b.brIf(fault, b.and(low, b.const(32, PTE.LARGE)));
    b.assign(allowed, b.and(allowed, low));
    b.assign(noExecute, b.or(noExecute, entry));
    b.assign(mapped, emitFrameLookup(b, entry, fault));
    b.assign(table, b.shl(mapped, 12));
    b.assign(error, b.const(32, 0));
    entries.push({ at, low });
  }
  emitRights(b, { access, error, allowed, noExecute }, fault);
  const isWrite = b.op('i32.eq', access, b.const(32, ACCESS.WRITE));
  // Only level-1 entries lead to shared frames: a table is its domain's own.
  b.if(b.and(isWrite, b.shrU(mapped, 31)), () => {
    setField(b, SLOT.EXIT_REASON, b.const(32, INTERNAL.UNSHARE));
    const { at } = entries[3] as { at: Value };
    const mfn = b.and(b.shrU(b.hostLoad(at, 'i64'), 12), b.const(64, 0xff_ffff));
    setField(b, SLOT.EXIT_FRAME, b.op('i32.wrap_i64', mfn));
    b.return(b.const(32, 0));
  });
  entries.forEach(({ at, low }, level) => {
    const dirty = level === 3 ? b.shl(isWrite, 6) : b.const(32, 0);
    const wanted = b.or(low, b.or(dirty, b.const(32, PTE.ACCESSED)));
    b.if(b.ne(wanted, low), () => b.hostStore(at, wanted, 1));
  });
  b.return(table);
}

/** The frame map's entry for the frame a PTE names: reserved-bit fault if the domain has no such machine frame. */
function emitFrameLookup(b: IntegerBuilder, entry: Value, fault: Label): Value {
  const mfn = b.and(b.shrU(entry, 12), b.const(64, 0xff_ffff_ffffn));
  const limit = b.zeroExtend(field(b, SLOT.WALK_LIMIT), 64);
  b.brIf(fault, b.op('i64.ge_u', mfn, limit));
  const number = b.op('i32.wrap_i64', mfn);
  const leafAt = b.add(field(b, SLOT.WALK_MAP), b.shl(b.shrU(number, 10), 2));
  const leaf = b.hostLoad(leafAt, 'i32');
  b.brIf(fault, b.isZero(leaf));
  const frame = b.hostLoad(b.add(leaf, b.shl(b.and(number, b.const(32, 1023)), 2)), 'i32');
  b.brIf(fault, b.isZero(frame));
  return frame;
}

function emitRights(
  b: IntegerBuilder,
  walk: { access: Value; error: Value; allowed: Value; noExecute: Value },
  fault: Label,
): void {
  const { access, error, allowed, noExecute } = walk;
  b.assign(error, b.const(32, PAGE_FAULT.PRESENT));
  b.brIf(fault, b.isZero(b.and(allowed, b.const(32, PTE.USER))));
  const isWrite = b.op('i32.eq', access, b.const(32, ACCESS.WRITE));
  b.brIf(fault, b.and(isWrite, b.isZero(b.and(allowed, b.const(32, PTE.WRITE)))));
  const isFetch = b.op('i32.eq', access, b.const(32, ACCESS.EXECUTE));
  b.brIf(fault, b.and(isFetch, b.signBit(noExecute)));
}

// ---- filling

/** Notes an entry as filled, for `flush`. */
function emitLog(b: IntegerBuilder, entryAddress: Value): void {
  const count = field(b, SLOT.TLB_LOG);
  b.if(b.op('i32.lt_u', count, b.const(32, SCRATCH.LOG_LIMIT)), () => {
    b.hostStore(b.shl(count, 2), entryAddress, 4, LOG);
    setField(b, SLOT.TLB_LOG, b.add(count, b.const(32, 1)));
  });
}

function emitFill(b: IntegerBuilder, table: number, address: Value, hostPage: Value): void {
  const page = pageOf(b, address);
  const entry = b.add(tlbEntry(b, address), b.const(32, table));
  b.hostStore(entry, page);
  b.hostStore(entry, b.sub(hostPage, b.op('i32.wrap_i64', page)), 4, TLB.ADDEND);
  emitLog(b, entry);
}

const frameInfo = (b: IntegerBuilder, hostPage: Value): Value =>
  b.add(b.shl(b.shrU(hostPage, 12), 4), b.const(32, LAYOUT.FRAME_INFO));

/** Does the access cross into the next page? */
function crosses(b: IntegerBuilder, address: Value, bytes: Value): Value {
  const end = b.add(offsetOf(b, address), bytes);
  return b.op('i32.gt_u', end, b.const(32, PAGE_SIZE));
}

/** The first address of the page in which the access ends. */
const secondPage = (b: IntegerBuilder, address: Value, bytes: Value): Value =>
  pageOf(b, b.add(address, b.op('i64.extend_i32_u', bytes)));

function emitReadSlow(b: IntegerBuilder, runtime: Runtime): void {
  const [address, bytes, stack] = [b.fixed(0), b.fixed(1), b.fixed(2)];
  const read = b.const(32, ACCESS.READ);
  const guard = emitCallGuard(b, runtime, [address, bytes, read]);
  const first = call(b, runtime, 'walk', address, read, stack);
  b.if(b.isZero(first), () => b.return(b.const(32, 0)));
  b.if(b.isZero(guard), () => emitFill(b, TLB_READ, address, first));
  const host = b.or(first, offsetOf(b, address));
  b.if(crosses(b, address, bytes), () => {
    const next = secondPage(b, address, bytes);
    const second = call(b, runtime, 'walk', next, read, stack);
    b.if(b.isZero(second), () => b.return(b.const(32, 0)));
    const split = b.sub(b.const(32, PAGE_SIZE), offsetOf(b, address));
    const scratch = b.const(32, SCRATCH_CROSSING);
    b.memoryCopy(scratch, host, split);
    b.memoryCopy(b.add(scratch, split), second, b.sub(bytes, split));
    b.return(scratch);
  });
  b.return(host);
}

/**
 * If a write hits a 64-byte chunk that holds decoded code, records INTERNAL.CODE_HIT and returns 0: the engine
 * drops the code and runs the instruction again.
 * @returns whether the frame holds code at all, so that it must stay out of the write TLB.
 */
function emitCodeCheck(b: IntegerBuilder, hostPage: Value, from: Value, bytes: Value): Value {
  const info = frameInfo(b, hostPage);
  const holdsCode = b.hostLoad(info, 'i32', 4, FRAME_INFO.MAP);
  b.if(holdsCode, () => {
    const chunks = b.hostLoad(info, 'i64', 8, FRAME_INFO.CHUNKS);
    const last = b.shrU(b.sub(b.add(from, bytes), one32(b)), 6);
    const ones = b.const(64, -1);
    const upTo = b.shrU(ones, b.sub(b.const(32, 63), last));
    const hit = b.and(chunks, b.and(upTo, b.shl(ones, b.shrU(from, 6))));
    b.if(b.ne(hit, b.const(64, 0)), () => {
      setField(b, SLOT.EXIT_REASON, b.const(32, INTERNAL.CODE_HIT));
      setField(b, SLOT.EXIT_FRAME, b.shrU(hostPage, 12));
      b.return(b.const(32, 0));
    });
  });
  return holdsCode;
}

const one32 = (b: IntegerBuilder): Value => b.const(32, 1);

function emitWriteSlow(b: IntegerBuilder, runtime: Runtime): void {
  const [address, bytes, stack] = [b.fixed(0), b.fixed(1), b.fixed(2)];
  const write = b.const(32, ACCESS.WRITE);
  const guard = emitCallGuard(b, runtime, [address, bytes, write]);
  const first = call(b, runtime, 'walk', address, write, stack);
  b.if(b.isZero(first), () => b.return(b.const(32, 0)));
  const offset = offsetOf(b, address);
  const host = b.or(first, offset);
  b.if(crosses(b, address, bytes), () => {
    const second = call(b, runtime, 'walk', secondPage(b, address, bytes), write, stack);
    b.if(b.isZero(second), () => b.return(b.const(32, 0)));
    const split = b.sub(b.const(32, PAGE_SIZE), offset);
    emitCodeCheck(b, first, offset, split);
    emitCodeCheck(b, second, b.const(32, 0), b.sub(bytes, split));
    const scratch = b.const(32, SCRATCH_CROSSING);
    b.memoryCopy(scratch, host, split);
    b.memoryCopy(b.add(scratch, split), second, b.sub(bytes, split));
    setField(b, SLOT.COMMIT_FIRST, host);
    setField(b, SLOT.COMMIT_SECOND, second);
    setField(b, SLOT.COMMIT_SPLIT, split);
    setField(b, SLOT.COMMIT_SIZE, bytes);
    b.return(scratch);
  });
  const holdsCode = emitCodeCheck(b, first, offset, bytes);
  b.if(b.isZero(b.or(holdsCode, guard)), () => emitFill(b, TLB_WRITE, address, first));
  b.return(host);
}

function emitStoreSlow(b: IntegerBuilder, runtime: Runtime): void {
  const [address, value, bytes, stack] = [b.fixed(0), b.fixed(1), b.fixed(2), b.fixed(3)];
  const host = call(b, runtime, 'writeSlow', address, bytes, stack);
  b.if(b.isZero(host), () => b.return(b.const(32, 0)));
  for (const size of [1, 2, 4, 8]) {
    b.if(b.op('i32.eq', bytes, b.const(32, size)), () => b.hostStore(host, value, size));
  }
  const crossing = b.op('i32.eq', host, b.const(32, SCRATCH_CROSSING));
  b.if(crossing, () => void call(b, runtime, 'commit'));
  b.return(b.const(32, 1));
}

function emitCommit(b: IntegerBuilder): void {
  const scratch = b.const(32, SCRATCH_CROSSING);
  const split = field(b, SLOT.COMMIT_SPLIT);
  b.memoryCopy(field(b, SLOT.COMMIT_FIRST), scratch, split);
  const rest = b.sub(field(b, SLOT.COMMIT_SIZE), split);
  b.memoryCopy(field(b, SLOT.COMMIT_SECOND), b.add(scratch, split), rest);
}

function emitFetch(b: IntegerBuilder, runtime: Runtime): void {
  const address = b.fixed(0);
  emitBreakCheck(b, pageOf(b, address));
  const page = call(b, runtime, 'walk', address, b.const(32, ACCESS.EXECUTE), b.const(32, 0));
  b.if(b.isZero(page), () => b.return(b.const(32, FETCH.FAULT)));
  const info = frameInfo(b, page);
  const first = b.hostLoad(info, 'i32', 4, FRAME_INFO.MAP);
  b.if(b.isZero(first), () => b.return(b.const(32, FETCH.NO_CODE)));
  const map = runtime.mode.bits === 64 ? first : emitOtherMap(b, first);
  const entry = b.add(tlbEntry(b, address), b.const(32, TLB_EXECUTE));
  b.hostStore(entry, pageOf(b, address));
  b.hostStore(entry, map, 4, TLB.MAP);
  b.hostStore(entry, b.hostLoad(info, 'i32', 4, FRAME_INFO.MAP_ID), 4, TLB.MAP_ID);
  emitLog(b, entry);
  b.return(b.const(32, FETCH.FILLED));
}

/** The offset map of code that is not 64-bit code. */
function emitOtherMap(b: IntegerBuilder, first: Value): Value {
  const at = b.op('i32.add', first, b.shl(field(b, SLOT.MODE), 2));
  const map = b.hostLoad(at, 'i32', 4, CODE_MAP.OTHERS);
  b.if(b.isZero(map), () => b.return(b.const(32, FETCH.NO_CODE)));
  return map;
}

function emitTranslate(b: IntegerBuilder, runtime: Runtime): void {
  const [low, high, access] = [b.fixed(0), b.fixed(1), b.fixed(2)];
  const upper = b.shl(b.op('i64.extend_i32_u', high), 32);
  const address = b.or(upper, b.op('i64.extend_i32_u', low));
  const page = call(b, runtime, 'walk', address, access, b.const(32, 0));
  b.if(b.isZero(page), () => b.return(b.const(32, 0)));
  b.return(b.or(page, offsetOf(b, address)));
}

// ---- forgetting

/** Makes the entry at a host address match nothing. */
function emitInvalidate(b: IntegerBuilder, entry: Value): void {
  const index = b.and(b.shrU(entry, 4), b.const(32, TLB.ENTRIES - 1));
  const other = b.op('i64.extend_i32_u', b.shl(b.xor(index, one32(b)), 12));
  b.hostStore(entry, other);
}

/** Only what was filled since the last flush is touched; if the list ran over, everything. */
function emitFlush(b: IntegerBuilder): void {
  const count = field(b, SLOT.TLB_LOG);
  const at = b.variable(b.const(32, 0));
  const countUp = (limit: Value, body: () => void): void =>
    b.block((leave) => {
      b.loop((again) => {
        b.if(b.op('i32.ge_u', at, limit), leave);
        body();
        b.assign(at, b.add(at, one32(b)));
        again();
      });
    });
  b.if(
    b.op('i32.lt_u', count, b.const(32, SCRATCH.LOG_LIMIT)),
    () => countUp(count, () => emitInvalidate(b, b.hostLoad(b.shl(at, 2), 'i32', 4, LOG))),
    () => {
      const entries = b.const(32, TLB.ENTRIES * 3);
      countUp(entries, () => emitInvalidate(b, b.add(b.shl(at, 4), b.const(32, LAYOUT.TLB))));
    },
  );
  setField(b, SLOT.TLB_LOG, b.const(32, 0));
}

function emitFlushPage(b: IntegerBuilder): void {
  const [low, high] = [b.fixed(0), b.fixed(1)];
  const upper = b.shl(b.op('i64.extend_i32_u', high), 32);
  const page = pageOf(b, b.or(upper, b.op('i64.extend_i32_u', low)));
  for (const table of [TLB_READ, TLB_WRITE, TLB_EXECUTE]) {
    const entry = b.add(tlbEntry(b, page), b.const(32, table));
    b.if(b.eq(b.hostLoad(entry, 'i64'), page), () => emitInvalidate(b, entry));
  }
}
