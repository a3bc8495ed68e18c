/** Where the two ends of a device meet, as XenStore has it: what xl block-list and network-list print. */

import { StoreNode } from '../schemas/xenstore.js';
import { type Client, Refusal } from './client.js';
import type { Meeting } from './format.js';

const NONE = -1;

/** @param rings names of the nodes in which the guest has written its rings. */
export async function readMeeting(
  client: Client,
  { domid, kind, devid }: { domid: number; kind: 'vbd' | 'vif'; devid: number },
  rings: readonly string[],
): Promise<Meeting> {
  const nodes = await readNodes(client, `/local/domain/${domid}/device/${kind}/${devid}`);
  const numberIn = (...names: string[]): number => {
    const value = names.map((name) => nodes.get(name)).find((text) => text !== undefined);
    return value === undefined ? NONE : Number(value);
  };
  return {
    port: numberIn('event-channel', 'event-channel-tx'),
    // Rings of several pages have a number behind their name.
    rings: rings.map((ring) => numberIn(ring, `${ring}0`)),
    backend: `/local/domain/0/backend/${kind}/${domid}/${devid}`,
  };
}

/** None, if the domain has ended. */
async function readNodes(client: Client, path: string): Promise<Map<string, string>> {
  try {
    const { children = [] } = await client.json(StoreNode, 'GET', `/v1/xenstore${path}?depth=1`);
    return new Map(children.map(({ name, value }) => [name, value]));
  } catch (error) {
    if (error instanceof Refusal && error.status === 404) return new Map();
    throw error;
  }
}
