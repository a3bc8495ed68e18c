/** The states of xenbus as a backend sees them: reading what the other end says, announcing one's own. */

import { XENBUS_STATE } from '../hypervisor/public/io/xenbus.js';
import type { XenstoreClient } from '../xenstore/client/client.js';

export type XenbusState = (typeof XENBUS_STATE)[keyof typeof XENBUS_STATE];

const STATES = new Set<number>(Object.values(XENBUS_STATE));

/** @returns UNKNOWN for anything but a number of XENBUS_STATE. */
export function decodeState(value: string | undefined): XenbusState {
  const state = /^\d$/.test(value ?? '') ? Number(value) : XENBUS_STATE.UNKNOWN;
  return STATES.has(state) ? (state as XenbusState) : XENBUS_STATE.UNKNOWN;
}

const U32_LIMIT = 2 ** 32;

/** A reference, a port, a count: a u32 in decimal. @returns undefined for anything else. */
export function decodeU32(value: string | undefined): number | undefined {
  const number = /^\d{1,10}$/.test(value ?? '') ? Number(value) : Number.NaN;
  return number < U32_LIMIT ? number : undefined;
}

export async function announceState(
  store: XenstoreClient,
  directory: string,
  state: XenbusState,
): Promise<void> {
  await store.write(`${directory}/state`, String(state));
}

/**
 * Calls back with each state of a device directory that differs from the one before, the present one first.
 * @param token distinguishes this watch from others of the same client.
 * @returns how to stop.
 */
export async function watchState(
  store: XenstoreClient,
  directory: string,
  token: string,
  changed: (state: XenbusState) => void,
): Promise<() => Promise<void>> {
  const path = `${directory}/state`;
  let last: XenbusState | undefined;
  const look = async (): Promise<void> => {
    const state = decodeState(await store.tryRead(path).catch(() => undefined));
    if (state === last) return;
    last = state;
    changed(state);
  };
  await store.watch(path, token, () => void look());
  return () => store.unwatch(path, token);
}
