/**
 * Asking a kernel to stop: control/shutdown, and whether it took notice.
 * Spec: xenstore-paths(7), ~/control/shutdown; the guest writes "" back when it has begun.
 */

import { CONTROL_NODES } from '../hypervisor/public/io/xenbus.js';
import type { XenStoreClient } from '../xenstore/client/client.js';
import { domainPath } from './guest-nodes.js';

export type ControlRequest = 'poweroff' | 'reboot';

/**
 * Writes the request.
 * @returns a promise: true once the guest has acknowledged or is gone, false if it has not within `timeoutMs`.
 */
export async function requestShutdown(
  store: XenStoreClient,
  domid: number,
  request: ControlRequest,
  timeoutMs: number,
): Promise<{ acknowledged: Promise<boolean> }> {
  const path = `${domainPath(domid)}/${CONTROL_NODES.SHUTDOWN}`;
  await store.write(path, request);
  return { acknowledged: waitForAnswer(store, path, request, timeoutMs) };
}

async function waitForAnswer(
  store: XenStoreClient,
  path: string,
  request: ControlRequest,
  timeoutMs: number,
): Promise<boolean> {
  let settle: (answered: boolean) => void = () => undefined;
  const answer = new Promise<boolean>((resolve) => {
    settle = resolve;
  });
  const look = async (): Promise<void> => {
    const value = await store.readText(path).catch(() => undefined);
    if (value !== request) settle(true);
  };
  const watch = await store.watch(path, () => void look());
  const timer = setTimeout(() => settle(false), timeoutMs);
  const answered = await answer;
  clearTimeout(timer);
  await watch.close().catch(() => undefined);
  return answered;
}
