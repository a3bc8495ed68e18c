/**
 * dom0's side of one domain: its console, its XenStore nodes and its introduction to the store.
 *
 *   connectGuest      after createdomain, before the first unpause: the guest finds everything in place
 *   disconnectGuest   before destroydomain: the last output is taken, every port and page is given back
 */

import type { XenstoreClient } from '../xenstore/client/client.js';
import type { Console } from './console.js';
import { type GuestFacts, guestNodes, guestTrees } from './guest-nodes.js';
import type { EventChannel, MappedPage, Privcmd } from './privcmd.js';

export interface Dom0 {
  readonly privcmd: Privcmd;
  readonly store: XenstoreClient;
}

export interface Guest {
  readonly facts: GuestFacts;
  readonly console: Console;
  readonly page: MappedPage;
  readonly channel: EventChannel;
}

/** Gives back what it took if a step fails, and throws. All steps are under way at once; the hypervisor and the store keep their order. */
export async function connectGuest(
  dom0: Dom0,
  facts: GuestFacts,
  console: Console,
): Promise<Guest> {
  const { privcmd, store } = dom0;
  const { domid } = facts;
  const steps = [
    privcmd.mapFrame(domid, facts.consoleMfn),
    privcmd.bindInterdomain(domid, facts.consolePort, () => console.pump()),
    writeNodes(store, facts),
    store.introduce(domid, facts.storeMfn, facts.storePort),
  ] as const;
  try {
    const [page, channel] = await Promise.all(steps);
    console.connect({ page: page.bytes, notify: () => channel.notify() });
    return { facts, console, page, channel };
  } catch (error) {
    const [page, channel] = await Promise.allSettled(steps);
    if (page.status === 'fulfilled') await page.value.unmap();
    if (channel.status === 'fulfilled') await channel.value.close();
    await store.release(domid).catch(() => undefined);
    await removeNodes(store, facts);
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

async function writeNodes(store: XenstoreClient, facts: GuestFacts): Promise<void> {
  await Promise.all(
    guestNodes(facts).flatMap(({ path, value, perms }) => [
      store.write(path, value),
      ...(perms === undefined ? [] : [store.setPerms(path, perms)]),
    ]),
  );
}

async function removeNodes(store: XenstoreClient, facts: GuestFacts): Promise<void> {
  await Promise.allSettled(guestTrees(facts).map((tree) => store.rm(tree)));
}
