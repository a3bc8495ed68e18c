/**
 * The shared ring of split drivers: requests one way, responses the other, in the same slots.
 * Spec: Xen public/io/ring.h.
 *
 *     0  req_prod     written by the frontend: requests published
 *     4  req_event    written by the backend: notify me when req_prod reaches this
 *     8  rsp_prod     written by the backend: responses published
 *    12  rsp_event    written by the frontend: notify me when rsp_prod reaches this
 *    16  pad[48]
 *    64  slot 0, slot 1, …  a power of two of them, each as large as the larger of request and response
 *
 * The four indices run freely modulo 2^32; a slot is index mod slots. Consumers keep their own index privately.
 */

export const RING = {
  /** u32: requests the frontend has published. */
  REQ_PROD: 0,
  /** u32: the backend asks to be notified when REQ_PROD passes this. */
  REQ_EVENT: 4,
  /** u32: responses the backend has published. */
  RSP_PROD: 8,
  /** u32: the frontend asks to be notified when RSP_PROD passes this. */
  RSP_EVENT: 12,
  /** Byte offset of the first slot. */
  SLOTS: 64,
} as const;

/** @returns how many slots of `slotBytes` fit a ring of `ringBytes`: rounded down to a power of two, as __RING_SIZE does. */
export function ringSlots(ringBytes: number, slotBytes: number): number {
  return 2 ** Math.floor(Math.log2((ringBytes - RING.SLOTS) / slotBytes));
}
