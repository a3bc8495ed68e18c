/**
 * privcmd: what dom0 (the main thread) and the hypervisor (a Worker) say to each other, as structured-clone messages.
 * Calls carry an id; each gets one reply with the same id. Events come unasked.
 */

import type { ErrnoName } from './errno.js';
import type { GrantStatus } from './grant-table.js';
import type { ShutdownReason } from './sched.js';

export interface CreateDomain {
  /** Wanted domain id; the next free one if absent. */
  readonly domid?: number;
  /** UUID in text form. */
  readonly handle: string;
  /** Memory in pages of 4 KiB. */
  readonly memoryPages: number;
  /** Ceiling of the reservation (ballooning), in pages; memoryPages if absent. */
  readonly maxPages?: number;
  /** vCPUs the guest is to use; 1 if absent. The first runs at start, the guest brings up the others. */
  readonly vcpus?: number;
  /** vCPUs the domain may bring up; `vcpus` if absent. */
  readonly maxVcpus?: number;
  /** Share of processor time relative to other domains; 256 if absent. */
  readonly weight?: number;
  /** Ceiling of processor time in percent of one CPU; 0 or absent for none. */
  readonly cap?: number;
  readonly kernel: Uint8Array;
  readonly ramdisk?: Uint8Array;
  /**
   * Names of the contents of kernel and RAM disk: domains created from bytes of the same name share their pages until
   * they write to them. Who names two different contents alike mixes them up. Without a name nothing is shared.
   */
  readonly kernelName?: string;
  readonly ramdiskName?: string;
  readonly cmdline?: string;
  readonly maxGrantFrames?: number;
  readonly maxMaptrackFrames?: number;
  readonly maxEventChannels?: number;
  /** Start paused (the default, as xc_domain_create does) or running. */
  readonly paused?: boolean;
}

/** A domain that is built from what was saved of another: everything but memory and state. */
export type RestoreDomain = Omit<
  CreateDomain,
  'kernel' | 'kernelName' | 'ramdisk' | 'ramdiskName' | 'cmdline' | 'paused'
>;

/** The last step of building it. */
export interface FinishRestore {
  readonly domid: number;
  /** Pinned page tables: MFN and level, in turn. */
  readonly pins: Uint32Array;
  /** States of the vCPUs that were online, as vcpu_guest_context. */
  readonly contexts: readonly { readonly vcpu: number; readonly bytes: Uint8Array }[];
  /** Pages of the rings of XenStore and the console. */
  readonly storeMfn: number;
  readonly consoleMfn: number;
}

export interface CreatedDomain {
  readonly domid: number;
  readonly storeMfn: number;
  /** Port of the domain that XenStore binds to. */
  readonly storePort: number;
  readonly consoleMfn: number;
  readonly consolePort: number;
}

export interface DomainInfo {
  readonly domid: number;
  readonly handle: string;
  readonly paused: boolean;
  readonly running: boolean;
  readonly blocked: boolean;
  readonly dying: boolean;
  readonly shutdown: boolean;
  readonly shutdownReason?: ShutdownReason;
  /** Why the hypervisor crashed it, in words. */
  readonly crashReason?: string;
  readonly totPages: number;
  readonly maxPages: number;
  readonly vcpus: readonly VcpuInfo[];
  readonly maxVcpus: number;
  /** Nanoseconds of processor time, all vCPUs. */
  readonly cpuTime: number;
  /** Guest instructions retired, all vCPUs. */
  readonly retired: number;
  readonly weight: number;
  readonly cap: number;
  readonly hypercalls: number;
  readonly eventChannels: number;
  /** Notifications of its ports, virtual IRQs among them. */
  readonly eventsRaised: number;
  readonly grantFrames: number;
  /** Grants of its own that somebody uses. */
  readonly grantsInUse: number;
  /** Grants of others that it has mapped. */
  readonly grantsMapped: number;
}

export interface VcpuInfo {
  readonly id: number;
  readonly online: boolean;
  readonly state: VcpuState;
  readonly cpuTime: number;
  /** Nanoseconds in each state. */
  readonly runstates: Readonly<Record<VcpuState, number>>;
}

export type VcpuState = 'running' | 'runnable' | 'blocked' | 'offline';

export interface PhysInfo {
  readonly totalFrames: number;
  /** Frames that domains can have: what users of shared frames may yet need is not among them. */
  readonly freeFrames: number;
  /** Frames saved for now: users of shared frames beyond the first of each. */
  readonly sharedFrames: number;
  /** Nanoseconds since the hypervisor started. */
  readonly uptime: number;
  readonly domains: number;
  /** Guest instructions retired since start. */
  readonly retired: number;
  /** Nanoseconds spent with nothing to run. */
  readonly idleTime: number;
  /** JavaScript exceptions that escaped while a guest's exit was handled: bugs of the hypervisor. */
  readonly bugs: number;
  readonly xenVersion: string;
}

export interface HypercallStats {
  /** Calls made, by name. */
  readonly calls: Readonly<Record<string, number>>;
  /** Calls refused with -ENOSYS, by name of call or call and operation. */
  readonly missing: Readonly<Record<string, number>>;
}

/** A grant that was mapped: its handle, and its byte address in RAM. Or why it was not. */
export type GrantMapping =
  | { readonly handle: number; readonly address: number }
  | { readonly status: GrantStatus; readonly why: string };

/** The numbers of one copy of gnttab.copy, in this order. */
export const GRANT_COPY = {
  REF: 0,
  /** First byte within the granted frame. */
  OFFSET: 1,
  /** Bytes; OFFSET + LENGTH is at most a page. */
  LENGTH: 2,
  /** First byte within dom0's bounce buffer. */
  AT: 3,
  WORDS: 4,
} as const;

/** Pages of a domain's own and where they are, in the same order. */
export interface MemoryList {
  readonly mfns: Uint32Array;
  /** PFN of each; -1 for a page that the guest has no number for. */
  readonly pfns: Float64Array;
  /** The page that Xen shares with the domain. */
  readonly sharedInfoMfn: number;
}

export interface SchedulerInfo {
  readonly name: string;
  /** Nanoseconds that a vCPU runs before others are looked at. */
  readonly slice: number;
  /** Nanoseconds that a vCPU runs before one that wakes may take its place. */
  readonly ratelimit: number;
}

/** Each operation: what is asked, what is answered. */
export interface PrivcmdOps {
  createdomain: { args: CreateDomain; result: CreatedDomain };
  destroydomain: { args: { domid: number }; result: null };
  pausedomain: { args: { domid: number }; result: null };
  unpausedomain: { args: { domid: number }; result: null };
  /** Marks the domain shut down, as SCHEDOP_remote_shutdown does; a request to the guest goes by XenStore. */
  shutdown: { args: { domid: number; reason: ShutdownReason }; result: null };
  getdomaininfo: { args: { domid: number }; result: DomainInfo };
  getdomaininfolist: { args: object; result: readonly DomainInfo[] };
  setscheduler: { args: { domid: number; weight?: number; cap?: number }; result: null };
  /** Ceiling of the reservation, in pages. */
  setmaxmem: { args: { domid: number; maxPages: number }; result: null };
  physinfo: { args: object; result: PhysInfo };
  schedulerinfo: { args: object; result: SchedulerInfo };
  /** What is left out stays. */
  setschedulerinfo: { args: { slice?: number; ratelimit?: number }; result: SchedulerInfo };
  /** Marks an NMI pending for a vCPU; it comes when the vCPU runs and has a handler for it. */
  sendnmi: { args: { domid: number; vcpu: number }; result: null };
  /** The state of a vCPU as a vcpu_guest_context, undefined for one that was never set up. */
  getvcpucontext: { args: { domid: number; vcpu: number }; result: Uint8Array | undefined };
  getmemlist: { args: { domid: number }; result: MemoryList };
  /** Copies pages to dom0's bounce buffer, from byte `at` on: zeros for an MFN that the domain does not have (any more). */
  readpages: { args: { domid: number; mfns: Uint32Array; at: number }; result: null };
  /** Types of pages: 0, or 1 to 4 for a page table of that level, and 8 besides if it is pinned. */
  getpageframeinfo: {
    args: { domid: number; mfns: Uint32Array };
    result: { types: Uint8Array };
  };
  /** A paused domain without memory, to be populated, filled and finished. */
  restoredomain: { args: RestoreDomain; result: { domid: number; sharedInfoMfn: number } };
  /** Gives a domain that is being restored pages for these PFNs. */
  populatephysmap: {
    args: { domid: number; pfns: Uint32Array };
    result: { mfns: Uint32Array };
  };
  /** Fills pages, or shared_info, from dom0's bounce buffer, from byte `at` on. */
  writepages: { args: { domid: number; mfns: Uint32Array; at: number }; result: null };
  finishrestore: { args: FinishRestore; result: CreatedDomain };
  /** Lets a suspended domain go on: its suspend returns 1, cancelled. */
  resumedomain: { args: { domid: number }; result: null };
  /** Answers a debug key; what it says goes into the log as well. */
  debugkey: { args: { key: string }; result: { text: string } };
  /** The hypervisor's log; `clear` empties it. */
  readconsole: { args: { clear?: boolean }; result: { text: string } };
  'evtchn.bind_interdomain': {
    args: { remoteDom: number; remotePort: number };
    result: { port: number };
  };
  'evtchn.alloc_unbound': { args: { remoteDom: number }; result: { port: number } };
  'evtchn.send': { args: { port: number }; result: null };
  'evtchn.close': { args: { port: number }; result: null };
  /** Holds granted frames until they are unmapped, whatever becomes of the domain; one answer per reference, in order. */
  'gnttab.map': {
    args: { domid: number; refs: readonly number[]; readonly?: boolean };
    result: { grants: readonly GrantMapping[] };
  };
  'gnttab.unmap': { args: { handles: readonly number[] }; result: null };
  /** dom0 has written to frames it keeps mapped: what the processor knows of their old contents is out of date. */
  'gnttab.written': { args: { handles: readonly number[] }; result: null };
  /**
   * Copies between granted frames of a domain and dom0's bounce buffer, one after the other; one GNTST status per copy.
   * `copies` holds GRANT_COPY.WORDS numbers for each: GRANT_COPY says which.
   */
  'gnttab.copy': {
    args: { domid: number; toGuest: boolean; copies: Uint32Array };
    result: { statuses: Int8Array };
  };
  /** Byte address in RAM of a frame of the domain. Holds the frame until foreignunmap. */
  foreignmap: { args: { domid: number; mfn: number }; result: { address: number } };
  foreignunmap: { args: { domid: number; mfn: number }; result: null };
  /**
   * What is traced from now on: TRACE_CLASS bits; the numbers of the calls among them, all if absent; the domains of which nobody
   * wants to hear.
   */
  trace: {
    args: { mask: number; calls?: readonly number[]; except?: readonly number[] };
    result: null;
  };
  hypercallstats: { args: { domid?: number }; result: HypercallStats };
  stop: { args: object; result: null };
}

export type PrivcmdOp = keyof PrivcmdOps;

/** A call: main thread to hypervisor. */
export type PrivcmdCall = {
  [Op in PrivcmdOp]: { readonly id: number; readonly op: Op } & PrivcmdOps[Op]['args'];
}[PrivcmdOp];

export interface PrivcmdError {
  readonly errno: ErrnoName;
  /** Negative, as in rax. */
  readonly number: number;
  readonly message: string;
  /** Figures or the field at fault: `{ needed, free }`, `{ field, expected, found }`. */
  readonly detail?: Readonly<Record<string, unknown>>;
}

export type PrivcmdReply =
  | { readonly id: number; readonly result: PrivcmdOps[PrivcmdOp]['result'] }
  | { readonly id: number; readonly error: PrivcmdError };

/** What the hypervisor says unasked. */
export type PrivcmdEvent =
  /** dom0's ports that became pending, each once. */
  | { readonly event: 'evtchn'; readonly ports: readonly number[] }
  /** VIRQ_DOM_EXC: a domain shut down, crashed or was destroyed. */
  | {
      readonly event: 'domain';
      readonly domid: number;
      readonly state: 'shutdown' | 'crashed' | 'destroyed';
      readonly reason?: ShutdownReason;
      readonly detail?: string;
    }
  /** A line of the hypervisor's log. */
  | { readonly event: 'log'; readonly text: string }
  /** A line that a domain wrote with console_io, without its newline. */
  | { readonly event: 'console_io'; readonly domid: number; readonly text: string }
  | { readonly event: 'ready' };

/** Hypervisor to main thread. */
export type PrivcmdMessage = PrivcmdReply | PrivcmdEvent;
