/**
 * Decoded code: blocks of records in an arena, found by frame and offset.
 *
 * Code is keyed by host frame and mode, whatever addresses it is mapped at. A frame with code has an offset map; a write to
 * a 64-byte chunk that was decoded drops the map, and with it all code of the frame. Records that were dropped are
 * not reused until the arena is full and everything is dropped.
 */

import { Code, Decoder, DecoderError, DecoderOptions, Instruction } from 'iced-x86';
import { CODE_SIZE, FRAME_INFO_SIZE, LAYOUT, PAGE_SIZE } from '../machine/layout.js';
import type { Ram } from '../machine/ram.js';
import type { Frame } from '../machine/types.js';
import { isFence } from '../x86/fences.js';
import { MODE, type Mode } from '../x86/segment-state.js';
import type { CaseTable, CodeEntry } from './cases.js';
import { CODE_MAP, FRAME_INFO, PSEUDO, RECORD, SCRATCH } from './record.js';
import { RecordWriter } from './record-writer.js';

/** LZCNT and TZCNT are not announced: their prefix is ignored, as on processors without them. */
const DECODER_OPTIONS = DecoderOptions.NoMPFX_0FBC | DecoderOptions.NoMPFX_0FBD;
const MAX_BLOCK = 64;
/** Room that a block may need: records, each with a link, and the ends. */
const BLOCK_RESERVE = (MAX_BLOCK * 2 + 4) * RECORD.SIZE;
const MAX_INSTRUCTION = 15;
const ONE_SHOT = LAYOUT.SCRATCH + SCRATCH.ONE_SHOT;

/** Maps that decoding may make: two for each of two frames. */
const MAPS_RESERVE = 4;

/** Bits of code, for the decoder, by MODE. */
export const BITNESS: Readonly<Record<Mode, 64 | 32 | 16>> = { 0: 64, 1: 32, 2: 32, 3: 16 };

/** What code means: one for each mode. */
export interface InstructionSet {
  readonly mode: Mode;
  readonly table: CaseTable;
  /** Pairs of cases, first * 65536 + second, to the case that does both. */
  readonly fusion: ReadonlyMap<number, number>;
}

function invalidEntry({ table }: InstructionSet): CodeEntry {
  const invalid = table.codes[Code.INVALID];
  if (!invalid) throw new Error('no definition for invalid instructions');
  return invalid;
}

export class CodeCache {
  readonly #ram: Ram;
  #set: InstructionSet;
  readonly #writer: RecordWriter;
  readonly #instruction = new Instruction();
  #invalid: CodeEntry;
  /** Called when translations that allow writes, or name offset maps, must go. */
  readonly #flushTlb: () => void;
  readonly #frames = new Set<number>();
  readonly #freeMaps: number[] = [];
  #next: number = LAYOUT.CODE;
  #nextId = 1;

  constructor(ram: Ram, set: InstructionSet, flushTlb: () => void) {
    this.#ram = ram;
    this.#set = set;
    this.#writer = new RecordWriter(ram);
    this.#invalid = invalidEntry(set);
    this.#flushTlb = flushTlb;
  }

  /** From here on code is decoded, and looked up, as code of this set. */
  use(set: InstructionSet): void {
    this.#set = set;
    this.#invalid = invalidEntry(set);
    this.#writer.mode = set.mode;
  }

  /** Is there room for a block? If not, `dropAll` makes it. */
  get isFull(): boolean {
    return this.#next + BLOCK_RESERVE + MAPS_RESERVE * CODE_MAP.SIZE > LAYOUT.CODE + CODE_SIZE;
  }

  /** Does the frame hold decoded code? */
  holdsCode(frame: Frame): boolean {
    return this.#info(frame, FRAME_INFO.MAP) !== 0;
  }

  /** The identity of the code of a frame, which gets an offset map if it has none. */
  identify(frame: Frame): number {
    this.#mapOf(frame);
    return this.#info(frame, FRAME_INFO.MAP_ID);
  }

  /**
   * Decodes the block at an offset of a frame.
   * @returns whether there is a record there now; false if the instruction reaches into the next page.
   */
  decode(frame: Frame, offset: number): boolean {
    const map = this.#mapOf(frame);
    const decoder = this.#decoder(frame, offset);
    const start = this.#next;
    const links: number[] = [];
    const entries: CodeEntry[] = [];
    let at = offset;
    let isOpen = true;
    let fenced = false;
    const most = this.#isChecked ? 1 : MAX_BLOCK;
    while (isOpen && entries.length < most && at < PAGE_SIZE) {
      if (this.#ram.u32[map / 4 + at] !== 0) break;
      decoder.decodeOut(this.#instruction);
      if (decoder.lastError === DecoderError.NoMoreBytes) break;
      const entry = this.#entry(this.#instruction.code);
      this.#append(entry, links);
      entries.push(entry);
      isOpen = !entry.definition.options.last;
      at += this.#instruction.length;
      fenced = isFence(this.#instruction);
      if (fenced) break;
    }
    decoder.free();
    if (entries.length === 0) return false;
    if (fenced) this.#writePseudo(this.#allocate(), PSEUDO.FENCE, 0);
    if (isOpen) this.#appendContinuation(at, links);
    this.#countInstructions(start, entries);
    this.#enter(map, start, entries.length);
    this.#appendLinks(map, links);
    this.#mark(frame, offset, at - offset);
    this.#fuse(start, entries.length);
    return true;
  }

  /**
   * Decodes an instruction that reaches into the next page.
   * @param bytes of it, gathered from both frames.
   */
  decodeStraddling(frame: Frame, offset: number, second: Frame, bytes: Uint8Array): void {
    const map = this.#mapOf(frame);
    const id = this.identify(second);
    const guard = this.#allocate();
    const length = this.#decodeSingle(this.#allocate(), offset, bytes);
    if (isFence(this.#instruction)) this.#writePseudo(this.#allocate(), PSEUDO.FENCE, 0);
    this.#writePseudo(guard, PSEUDO.STRADDLE, id);
    this.#ram.u16[(guard + RECORD.OFFSET) / 2] = offset | (length << 12);
    this.#ram.u8[guard + RECORD.COUNT] = 1;
    const old = this.#ram.u32[map / 4 + offset] ?? 0;
    if (old !== 0) {
      // who is linked to the old guard comes here
      this.#writePseudo(old, PSEUDO.GOTO, 0);
      this.#ram.u32[(old + RECORD.LINK) / 4] = guard;
    }
    this.#ram.u32[map / 4 + offset] = guard;
    this.#writePseudo(this.#allocate(), PSEUDO.CROSS, offset + length);
    this.#mark(frame, offset, PAGE_SIZE - offset);
    this.#mark(second, 0, Math.max(offset + length - PAGE_SIZE, 1));
  }

  /**
   * Decodes one instruction outside the arena, to be run once: its bytes are not guarded against writes.
   * @returns its record, which the caller enters in the map with `setRecord`.
   */
  decodeOneShot(offset: number, bytes: Uint8Array): number {
    const length = this.#decodeSingle(ONE_SHOT, offset, bytes);
    this.#writePseudo(ONE_SHOT + RECORD.SIZE, PSEUDO.CROSS, offset + length);
    return ONE_SHOT;
  }

  /** The record at an offset, 0 if there is none. */
  record(frame: Frame, offset: number): number {
    return this.#ram.u32[this.#mapOf(frame) / 4 + offset] ?? 0;
  }

  setRecord(frame: Frame, offset: number, record: number): void {
    this.#ram.u32[this.#mapOf(frame) / 4 + offset] = record;
  }

  /** Forgets the code of a frame. */
  drop(frame: Frame): void {
    const map = this.#info(frame, FRAME_INFO.MAP);
    if (map === 0) return;
    const { u32 } = this.#ram;
    const info = LAYOUT.FRAME_INFO + frame * FRAME_INFO_SIZE;
    u32.fill(0, info / 4, (info + FRAME_INFO_SIZE) / 4);
    this.#frames.delete(frame);
    this.#freeMaps.push(map);
    for (let mode: number = MODE.FLAT; mode <= MODE.SEGMENTED_16; mode++) {
      const other = u32[(map + CODE_MAP.OTHERS) / 4 + mode] ?? 0;
      if (other !== 0) this.#freeMaps.push(other);
    }
    this.#flushTlb();
  }

  dropAll(): void {
    for (const frame of [...this.#frames]) this.drop(frame as Frame);
    this.#freeMaps.length = 0;
    this.#next = LAYOUT.CODE;
  }

  // ---- blocks

  #decoder(frame: Frame, offset: number): Decoder {
    const bytes = this.#ram.u8.slice(frame * PAGE_SIZE + offset, (frame + 1) * PAGE_SIZE);
    const decoder = new Decoder(BITNESS[this.#set.mode], bytes, DECODER_OPTIONS);
    decoder.ip = BigInt(offset);
    return decoder;
  }

  /** Limits are looked at instruction by instruction. */
  get #isChecked(): boolean {
    return this.#set.mode >= MODE.SEGMENTED;
  }

  #entry(code: Code): CodeEntry {
    return this.#set.table.codes[code] ?? this.#invalid;
  }

  #append(entry: CodeEntry, links: number[]): void {
    const at = this.#allocate();
    const isBranch = entry.kinds[0]?.kind === 'target';
    let isNear = false;
    if (isBranch) {
      const target = this.#instruction.nearBranchTarget;
      isNear = target < BigInt(PAGE_SIZE) && !this.#isChecked;
      if (isNear) links.push(at);
    }
    this.#writer.write(at, this.#instruction, entry, isNear);
  }

  /** What follows the last instruction of a block that does not end in a jump. */
  #appendContinuation(offset: number, links: number[]): void {
    const at = this.#allocate();
    if (offset >= PAGE_SIZE || this.#isChecked) {
      this.#writePseudo(at, PSEUDO.CROSS, offset);
      return;
    }
    this.#writePseudo(at, PSEUDO.GOTO, offset);
    links.push(at);
  }

  /** Branches whose target has no record yet go to a LINK, which finds it when it is first needed. */
  #appendLinks(map: number, branches: readonly number[]): void {
    const { u32 } = this.#ram;
    for (const branch of branches) {
      const known = u32[map / 4 + this.#targetOf(branch)] ?? 0;
      if (known !== 0) {
        u32[(branch + RECORD.LINK) / 4] = known;
        continue;
      }
      const at = this.#allocate();
      this.#writePseudo(at, PSEUDO.LINK, this.#targetOf(branch));
      u32[(at + RECORD.SRC) / 4] = branch;
      u32[(branch + RECORD.LINK) / 4] = at;
    }
  }

  #targetOf(branch: number): number {
    return this.#ram.u32[(branch + RECORD.IMM) / 4] ?? 0;
  }

  /** COUNT of each record: instructions up to the end of its block. */
  #countInstructions(start: number, entries: readonly CodeEntry[]): void {
    let count = 0;
    for (let i = entries.length - 1; i >= 0; i--) {
      const { ends, last } = entries[i]?.definition.options ?? {};
      count = ends || last ? 1 : count + 1;
      this.#ram.u8[start + i * RECORD.SIZE + RECORD.COUNT] = count;
    }
  }

  /** Enters the records of a block in the offset map. */
  #enter(map: number, start: number, count: number): void {
    const { u16, u32 } = this.#ram;
    for (let i = 0; i < count; i++) {
      const at = start + i * RECORD.SIZE;
      const offset = (u16[(at + RECORD.OFFSET) / 2] ?? 0) & (PAGE_SIZE - 1);
      u32[map / 4 + offset] = at;
    }
  }

  /**
   * Replaces the case of a record by one that also does the record after it, where there is one. From the end, so that
   * a comparison finds its branch; a pair's second record keeps a case of its own, for those who branch to it.
   */
  #fuse(start: number, count: number): void {
    const { u16 } = this.#ram;
    const step = RECORD.SIZE / 2;
    let isNextFused = false;
    for (let i = count - 2; i >= 0; i--) {
      const at = (start + i * RECORD.SIZE + RECORD.OP) / 2;
      const pair = (u16[at] ?? 0) * 65536 + (u16[at + step] ?? 0);
      const fused: number | undefined = isNextFused ? undefined : this.#set.fusion.get(pair);
      if (fused !== undefined) u16[at] = fused;
      isNextFused = fused !== undefined;
    }
  }

  /** @returns the length of the instruction. */
  #decodeSingle(at: number, offset: number, bytes: Uint8Array): number {
    const code = bytes.subarray(0, MAX_INSTRUCTION);
    const decoder = new Decoder(BITNESS[this.#set.mode], code, DECODER_OPTIONS);
    decoder.ip = BigInt(offset);
    decoder.decodeOut(this.#instruction);
    decoder.free();
    this.#writer.write(at, this.#instruction, this.#entry(this.#instruction.code), false);
    return this.#instruction.length;
  }

  #writePseudo(at: number, op: number, immediate: number): void {
    const { u16, u32 } = this.#ram;
    u32.fill(0, at / 4, (at + RECORD.SIZE) / 4);
    u16[(at + RECORD.OP) / 2] = op;
    u32[(at + RECORD.IMM) / 4] = immediate;
  }

  // ---- memory

  #allocate(): number {
    const at = this.#next;
    this.#next += RECORD.SIZE;
    return at;
  }

  /** The offset map of the code that is being decoded. */
  #mapOf(frame: Frame): number {
    const { u32 } = this.#ram;
    const first = this.#firstMapOf(frame);
    if (this.#set.mode === MODE.LONG) return first;
    const at = (first + CODE_MAP.OTHERS) / 4 + this.#set.mode;
    const known = u32[at] ?? 0;
    if (known !== 0) return known;
    const map = this.#allocateMap();
    u32[at] = map;
    return map;
  }

  #allocateMap(): number {
    const recycled = this.#freeMaps.pop();
    const map = recycled ?? this.#next;
    if (recycled === undefined) this.#next += CODE_MAP.SIZE;
    this.#ram.u32.fill(0, map / 4, (map + CODE_MAP.SIZE) / 4);
    return map;
  }

  /** The map of 64-bit code, which every frame with code has. */
  #firstMapOf(frame: Frame): number {
    const known = this.#info(frame, FRAME_INFO.MAP);
    if (known !== 0) return known;
    const { u32 } = this.#ram;
    const map = this.#allocateMap();
    const info = LAYOUT.FRAME_INFO + frame * FRAME_INFO_SIZE;
    u32[(info + FRAME_INFO.MAP) / 4] = map;
    u32[(info + FRAME_INFO.MAP_ID) / 4] = this.#nextId++;
    this.#frames.add(frame);
    this.#flushTlb(); // the frame may be in the write TLB
    return map;
  }

  /** Notes bytes as decoded, by chunks of 64. */
  #mark(frame: Frame, offset: number, bytes: number): void {
    const chunks = LAYOUT.FRAME_INFO + frame * FRAME_INFO_SIZE + FRAME_INFO.CHUNKS;
    for (let chunk = offset >>> 6; chunk <= (offset + bytes - 1) >>> 6; chunk++) {
      const at = chunks / 4 + (chunk >>> 5);
      this.#ram.u32[at] = (this.#ram.u32[at] ?? 0) | (1 << (chunk & 31));
    }
  }

  #info(frame: Frame, field: number): number {
    return this.#ram.u32[(LAYOUT.FRAME_INFO + frame * FRAME_INFO_SIZE + field) / 4] ?? 0;
  }
}
