/**
 * dom0's side of one domain: its console, its XenStore nodes and its introduction to the store.
 *
 *   connectGuest      after createdomain, before the first unpause: the guest finds everything in place
 *   disconnectGuest   before destroydomain: the last output is taken, every port and page is given back
 */

import type { XenStoreClient } from '../xenstore/client/client.js';
import type { Console } from './console.js';
import { type GuestFacts, guestNodes, guestTrees } from './guest-nodes.js';
import type { EventChannel, MappedPage, Privcmd } from './privcmd.js';

export interface Dom0 {
  readonly privcmd: Privcmd;
  readonly store: XenStoreClient;
}

export interface Guest {
  readonly facts: GuestFacts;
  readonly console: Console;
  readonly page: MappedPage;
  readonly channel: EventChannel;
}

/** Gives back what it took if a step fails, and throws. */
export async function connectGuest(
  dom0: Dom0,
  facts: GuestFacts,
  console: Console,
): Promise<Guest> {
  const { privcmd, store } = dom0;
  const { domid } = facts;
  const page = await privcmd.mapFrame(domid, facts.consoleMfn);
  try {
    const [channel] = await Promise.all([
      privcmd.bindInterdomain(domid, facts.consolePort, () => console.pump()),
      writeNodes(store, facts),
    ]);
    await store.introduce(domid, facts.storeMfn, facts.storePort);
    console.connect({ page: page.bytes, notify: () => channel.notify() });
    return { facts, console, page, channel };
  } catch (error) {
    await Promise.allSettled([page.unmap(), removeNodes(store, facts)]);
    throw error;
  }
}

/** Cannot fail: what is gone already needs no undoing. */
export async function disconnectGuest({ store }: Dom0, guest: Guest): Promise<void> {
  guest.console.disconnect();
  await store.release(guest.facts.domid).catch(() => undefined);
  await Promise.allSettled([
    guest.channel.close(),
    guest.page.unmap(),
    removeNodes(store, guest.facts),
  ]);
}

async function writeNodes(store: XenStoreClient, facts: GuestFacts): Promise<void> {
  for (const { path, value, perms } of guestNodes(facts)) {
    await store.write(path, value);
    if (perms !== undefined) await store.setPerms(path, perms);
  }
}

async function removeNodes(store: XenStoreClient, facts: GuestFacts): Promise<void> {
  for (const tree of guestTrees(facts)) await store.rm(tree).catch(() => undefined);
}
