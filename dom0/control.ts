/**
 * Asking a kernel to stop: control/shutdown, and whether it took notice.
 * Spec: xenstore-paths(7), ~/control/shutdown; the guest writes "" back when it has begun.
 */

import { CONTROL_NODES } from '../hypervisor/public/io/xenbus.js';
import type { XenstoreClient } from '../xenstore/client/client.js';
import { domainPath } from './guest-nodes.js';

export type ControlRequest = 'poweroff' | 'reboot' | 'suspend';

/**
 * Writes the request.
 * @returns a promise: true once the guest has acknowledged or is gone, false if it has not within `timeoutMs`.
 */
export async function requestShutdown(
  store: XenstoreClient,
  domid: number,
  request: ControlRequest,
  timeoutMs: number,
): Promise<{ acknowledged: Promise<boolean> }> {
  const path = `${domainPath(domid)}/${CONTROL_NODES.SHUTDOWN}`;
  await store.write(path, request);
  return { acknowledged: waitForAnswer(store, path, request, timeoutMs) };
}

/** Takes a request back that the kernel has not begun with, so that it does not obey when nobody waits any more. */
export async function withdrawShutdown(
  store: XenstoreClient,
  domid: number,
  request: ControlRequest,
): Promise<void> {
  const path = `${domainPath(domid)}/${CONTROL_NODES.SHUTDOWN}`;
  await store.transaction(async (access) => {
    if ((await access.tryRead(path)) === request) await access.write(path, '');
  });
}

/** Watches differ by token, so that two requests do not get into each other's way. */
let tokens = 0;

async function waitForAnswer(
  store: XenstoreClient,
  path: string,
  request: ControlRequest,
  timeoutMs: number,
): Promise<boolean> {
  tokens += 1;
  const token = `control-${tokens}`;
  let settle: (answered: boolean) => void = () => undefined;
  const answer = new Promise<boolean>((resolve) => {
    settle = resolve;
  });
  const look = async (): Promise<void> => {
    const value = await store.tryRead(path).catch(() => undefined);
    if (value !== request) settle(true);
  };
  await store.watch(path, token, () => void look());
  const timer = setTimeout(() => settle(false), timeoutMs);
  const answered = await answer;
  clearTimeout(timer);
  await store.unwatch(path, token).catch(() => undefined);
  return answered;
}
