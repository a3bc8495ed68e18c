/**
 * The trace ring, shared by the hypervisor (writer) and the main thread (readers), at LAYOUT.TRACE.
 *
 *   header (64 bytes)   mask u32 | head u32 | capacity u32 | recordSize u32
 *   record 0 … capacity-1, TRACE_RECORD_SIZE bytes each
 *
 * Record n of all time (n counts from 1) lies in slot (n - 1) mod capacity and carries n in its `seq`. The writer clears `seq`,
 * fills the record, stores `seq`, then stores `head` = n. It never waits: a reader that is overtaken sees a gap in the
 * sequence, which is the number of records it lost. Sequence numbers are modulo 2^32.
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
} as const;

/** Where the ring lies in RAM: LAYOUT.TRACE to LAYOUT.FRAME_INFO. */
export const TRACE_RING = { ADDRESS: 0x0004_0000, SIZE: 0x007c_0000 } as const;

export const TRACE_HEADER_SIZE = 64;
/** Bytes of the struct behind a pointer argument that are kept, before the call and after it. */
export const TRACE_PAYLOAD_SIZE = 48;

/** Header fields, as u32 indices. */
export const TRACE_HEADER = { MASK: 0, HEAD: 1, CAPACITY: 2, RECORD_SIZE: 3 } as const;

export const traceRecord = struct('trace_record', {
  seq: 'u32', // 0 while the record is being written
  kind: 'u8', // TRACE_KIND.*
  flags: 'u8', // TRACE_FLAG.*
  domid: 'u16',
  vcpu: 'u16',
  op: 'u16',
  duration: 'u32', // ns
  time: 'u64', // ns since the hypervisor started
  rip: 'u64', // of the guest, after the SYSCALL
  result: 's64',
  arg0: 'u64',
  arg1: 'u64',
  arg2: 'u64',
  arg3: 'u64',
  arg4: 'u64',
  arg5: 'u64',
  inLength: 'u8', // bytes of payload
  outLength: 'u8',
  pad: { bytes: 6, align: 1 },
  input: { bytes: TRACE_PAYLOAD_SIZE, align: 8 }, // the struct as the guest passed it
  output: { bytes: TRACE_PAYLOAD_SIZE, align: 8 }, // as it was when the call returned
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

export const TRACE_RECORD_SIZE = traceRecord.size;
