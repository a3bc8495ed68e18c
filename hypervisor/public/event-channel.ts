/** Facts of xen/include/public/event_channel.h: event-channel operations, their arguments, virtual IRQs. */

import { struct } from './struct.js';

/** Commands of event_channel_op. */
// biome-ignore format: one row per command
export const EVTCHNOP = {
  BIND_INTERDOMAIN: 0,
  BIND_VIRQ:        1,
  BIND_PIRQ:        2,
  CLOSE:            3,
  SEND:             4,
  STATUS:           5,
  ALLOC_UNBOUND:    6,
  BIND_IPI:         7,
  BIND_VCPU:        8,
  UNMASK:           9,
  RESET:            10,
  INIT_CONTROL:     11,
  EXPAND_ARRAY:     12,
  SET_PRIORITY:     13,
} as const;

/** `status` of evtchn_status. */
// biome-ignore format: one row per state
export const EVTCHNSTAT = {
  CLOSED:      0,
  UNBOUND:     1, // waits for a remote domain to bind
  INTERDOMAIN: 2,
  PIRQ:        3,
  VIRQ:        4,
  IPI:         5,
} as const;

/** Virtual interrupts (xen.h). A per-vCPU one may be bound once on each vCPU. */
// biome-ignore format: one row per interrupt
export const VIRQ = {
  TIMER:      0,  // per vCPU
  DEBUG:      1,  // per vCPU
  CONSOLE:    2,
  DOM_EXC:    3,  // a domain shut down, crashed or died
  TBUF:       4,
  DEBUGGER:   6,
  XENOPROF:   7,  // per vCPU
  CON_RING:   8,
  PCPU_STATE: 9,
  MEM_EVENT:  10,
  ARGO:       11,
  ENOMEM:     12,
  XENPMU:     13, // per vCPU
} as const;

/** Virtual IRQs are numbered below this. */
export const NR_VIRQS = 24;
/** The virtual IRQs of which each vCPU has its own. */
export const PER_VCPU_VIRQS: readonly number[] = [
  VIRQ.TIMER,
  VIRQ.DEBUG,
  VIRQ.XENOPROF,
  VIRQ.XENPMU,
];

/** Ports of the two-level ABI: 64 selector bits of 64 ports each. */
export const EVTCHN_2L_NR_CHANNELS = 4096;

/** Bits of an event word of the FIFO ABI; below them LINK, the next port of the queue, 0 for none. */
// biome-ignore format: one row per bit
export const EVTCHN_FIFO = {
  PENDING: 0x8000_0000,
  MASKED:  0x4000_0000,
  LINKED:  0x2000_0000, // on a queue
  BUSY:    0x1000_0000, // Xen is changing LINK: the guest waits with unmasking
} as const;

/** Bits of LINK. */
export const EVTCHN_FIFO_LINK_BITS = 17;
export const EVTCHN_FIFO_LINK_MASK = (1 << EVTCHN_FIFO_LINK_BITS) - 1;
/** Ports of the FIFO ABI. */
export const EVTCHN_FIFO_NR_CHANNELS = 1 << EVTCHN_FIFO_LINK_BITS;
/** Event words in a page of the array. */
export const EVTCHN_FIFO_WORDS_PER_PAGE = 1024;
/** Priorities run from 0, the most urgent, to 15. */
export const EVTCHN_FIFO_PRIORITY_DEFAULT = 7;
export const EVTCHN_FIFO_PRIORITY_MIN = 15;
export const EVTCHN_FIFO_MAX_QUEUES = 16;

/** One for each vCPU, in a page of the guest's. */
export const evtchnFifoControlBlock = struct('evtchn_fifo_control_block', {
  ready: 'u32', // queues that have events, as bits
  rsvd: 'u32',
  head: { bytes: 64, align: 4 }, // u32[16]: first port of each queue
});

export const evtchnAllocUnbound = struct('evtchn_alloc_unbound', {
  dom: 'u16',
  remoteDom: 'u16',
  port: 'u32', // out
});

export const evtchnBindInterdomain = struct('evtchn_bind_interdomain', {
  remoteDom: 'u16',
  remotePort: 'u32',
  localPort: 'u32', // out
});

export const evtchnBindVirq = struct('evtchn_bind_virq', {
  virq: 'u32',
  vcpu: 'u32',
  port: 'u32', // out
});

export const evtchnBindPirq = struct('evtchn_bind_pirq', {
  pirq: 'u32',
  flags: 'u32',
  port: 'u32', // out
});

export const evtchnBindIpi = struct('evtchn_bind_ipi', {
  vcpu: 'u32',
  port: 'u32', // out
});

export const evtchnClose = struct('evtchn_close', { port: 'u32' });
export const evtchnSend = struct('evtchn_send', { port: 'u32' });

export const evtchnStatus = struct('evtchn_status', {
  dom: 'u16',
  port: 'u32',
  status: 'u32', // EVTCHNSTAT.*
  vcpu: 'u32', // the vCPU it is delivered to
  first: 'u32', // unbound.dom, interdomain.dom (low 16 bits), pirq or virq
  second: 'u32', // interdomain.port
});

export const evtchnBindVcpu = struct('evtchn_bind_vcpu', { port: 'u32', vcpu: 'u32' });
export const evtchnUnmask = struct('evtchn_unmask', { port: 'u32' });
export const evtchnReset = struct('evtchn_reset', { dom: 'u16' });

export const evtchnInitControl = struct('evtchn_init_control', {
  controlGfn: 'u64',
  offset: 'u32',
  vcpu: 'u32',
  linkBits: 'u8', // out
  pad: { bytes: 7, align: 1 },
});

export const evtchnExpandArray = struct('evtchn_expand_array', { arrayGfn: 'u64' });
export const evtchnSetPriority = struct('evtchn_set_priority', { port: 'u32', priority: 'u32' });
