/**
 * The PV console: one page with two byte rings, and the XenStore nodes that announce it.
 * Spec: Xen public/io/console.h; xen-pv-console(7); xenstore-paths(7), section "console".
 *
 *        0 +----------------------+
 *          | in[1024]             |  backend writes at in_prod, guest reads at in_cons
 *     1024 +----------------------+
 *          | out[2048]            |  guest writes at out_prod, backend reads at out_cons
 *     3072 +----------------------+
 *          | in_cons   in_prod    |  u32 each, running freely modulo 2^32;
 *          | out_cons  out_prod   |  the byte of index i is at i mod the size of its ring
 *     3088 +----------------------+
 *
 * Whoever has produced or consumed bytes sends an event on the console's channel.
 */

import { struct } from '../struct.js';

/** `struct xencons_interface`. */
export const XENCONS_INTERFACE = struct('struct xencons_interface', {
  in: { bytes: 1024, align: 1 },
  out: { bytes: 2048, align: 1 },
  in_cons: 'u32',
  in_prod: 'u32',
  out_cons: 'u32',
  out_prod: 'u32',
});

/** Bytes of the ring from the backend to the guest. */
export const CONSOLE_IN_SIZE = 1024;
/** Bytes of the ring from the guest to the backend. */
export const CONSOLE_OUT_SIZE = 2048;

/** Grant reference that the domain builder reserves for the console page (Xen: GNTTAB_RESERVED_CONSOLE). */
export const GRANT_RESERVED_CONSOLE = 0;

/**
 * Nodes of the primary console, below `/local/domain/<domid>/console/`.
 *
 * ring-ref
 *   Values:        <mfn>, decimal
 *   The machine frame (of the guest's own numbering) that holds the page above.
 * port
 *   Values:        <event-channel port>, decimal
 *   The guest's end of the channel.
 * type
 *   Values:        "xenconsoled", "ioemu"
 *   Default Value: "xenconsoled"
 *   Which backend serves it. Ours is announced as "xenconsoled": the protocol is the same.
 * output
 *   Values:        "pty"
 *   Where the output goes.
 * limit
 *   Values:        <bytes>, decimal
 *   How much output the backend keeps.
 * tty
 *   Values:        <path or URL>
 *   Where an operator finds the console. Ours is the path of the REST resource, "/v1/domains/<domid>/console".
 */
export const CONSOLE_NODES = {
  RING_REF: 'console/ring-ref',
  PORT: 'console/port',
  TYPE: 'console/type',
  OUTPUT: 'console/output',
  LIMIT: 'console/limit',
  TTY: 'console/tty',
} as const;
