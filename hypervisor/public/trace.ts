/**
 * The trace ring, shared by the hypervisor (writer) and the main thread (its one reader), at LAYOUT.TRACE.
 *
 *   header (128 bytes)  head u32 | dropped u32 | size u32 … | (next cache line) cursor u32 …
 *   size units of TRACE_UNIT bytes
 *
 *   cursor            head                  what lies between them has been written and not yet read
 *     ▼                ▼
 *   ──┬─────┬──┬───────┬──────
 *     │ n   │WHY│ n+1   │ free …          positions count units modulo 2^32, a slot is the position modulo size
 *
 * A record is a head (trace_record) and what lay behind its pointer, rounded up to units; it never goes round the ring's end: a
 * PAD record fills what is left there. The writer publishes `head`, the reader `cursor`. A record for which there is no room is
 * not written, but it has its number: a step in `seq` is the number of records dropped there. `dropped` is the number of the last
 * such record, for when none follows. A WHY record carries the number of the record it explains.
 */

import { struct } from './struct.js';

/** Classes of records, each one bit of the mask. A writer tests the mask before anything else. */
// biome-ignore format: one row per class
export const TRACE_CLASS = {
  mmu:     1 << 0,  // page tables and descriptors
  memory:  1 << 1,  // reservations
  event:   1 << 2,  // event channels
  grant:   1 << 3,  // grant tables
  sched:   1 << 4,  // yield, block, poll, shutdown
  time:    1 << 5,  // timers
  vcpu:    1 << 6,  // vcpu_op
  trap:    1 << 7,  // callbacks, iret
  cpu:     1 << 8,  // segment bases, debug registers, assists
  console: 1 << 9,  // console_io
  version: 1 << 10, // xen_version
  multi:   1 << 11, // multicall
  control: 1 << 12, // what only a control domain may call
  fault:   1 << 13, // exceptions bounced to a guest, operations emulated
  switch:  1 << 14, // a vCPU starts to run
  domain:  1 << 15, // created, shut down, crashed, destroyed
} as const;

export type TraceClass = keyof typeof TRACE_CLASS;
export const TRACE_ALL = 0xffff;

/** What a record tells. */
// biome-ignore format: one row per kind
export const TRACE_KIND = {
  HYPERCALL: 0, // op = number; args, result, payloads
  WHY:       1, // the reason for the refusal that follows: text in the payload
  FAULT:     2, // the processor stopped: op = vector, args[0] = error code, args[1] = address, args[2] = TRACE_STOP.*
  SWITCH:    3, // the vCPU of the record starts to run
  DOMAIN:    4, // text in the payload
  PAD:       5, // nothing: the ring ends here
} as const;

/** Where the ring lies in RAM: LAYOUT.TRACE to LAYOUT.FRAME_INFO. */
export const TRACE_RING = { ADDRESS: 0x0004_0000, SIZE: 0x007c_0000 } as const;

export const TRACE_HEADER_SIZE = 128;
/** Header fields, as u32 indices. The reader's lies in a cache line of its own. */
export const TRACE_HEADER = { HEAD: 0, DROPPED: 1, SIZE: 2, CURSOR: 16 } as const;

/** Records are rounded up to units of so many bytes. */
export const TRACE_UNIT = 32;
/** Units of the ring: a power of two, as large as there is room for. */
export const TRACE_UNITS = 0x2_0000;
/** Bytes behind a pointer argument that are kept, before the call and after it. */
export const TRACE_PAYLOAD_MAX = 1024;

export const traceRecord = struct('trace_record', {
  seq: 'u32',
  kind: 'u8', // TRACE_KIND.*
  flags: 'u8', // TRACE_FLAG.*
  domid: 'u16',
  vcpu: 'u16',
  op: 'u16',
  units: 'u16', // of the whole record
  inLength: 'u16', // bytes behind the head: the payload as the guest passed it, padded to 8
  outLength: 'u16', // bytes behind those: as it was when the call returned
  pad: 'u16',
  duration: 'u32', // ns
  time: 'u64', // ns since the hypervisor started
  rip: 'u64', // of the guest, after the SYSCALL
  result: 's64',
  arg0: 'u64',
  arg1: 'u64',
  arg2: 'u64',
  arg3: 'u64',
  arg4: 'u64',
  caller: 'u64', // where a stub of the hypercall page returns to; 0 for a call made elsewhere
});

/** Flags of a record. */
// biome-ignore format: one row per flag
export const TRACE_FLAG = {
  PREEMPTED: 1 << 0, // the call goes on later; no result yet
  MULTICALL: 1 << 1, // one of a multicall
  NO_RESULT: 1 << 2, // the call has no result (iret)
} as const;

/** Why the processor stopped, in a FAULT record. */
// biome-ignore format: one row per reason
export const TRACE_STOP = {
  EXCEPTION:  2, // op = vector
  SYSCALL:    3, // of an application
  INTERRUPT:  4, // INT n, op = n
  PRIVILEGED: 5, // an instruction that needs a higher privilege
} as const;

export const TRACE_HEAD_SIZE = traceRecord.size;
