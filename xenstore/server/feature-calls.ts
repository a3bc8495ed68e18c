/**
 * Handlers of GET/SET_FEATURE and GET/SET_QUOTA, younger than Xen 4.17: they answer only when the server offers
 * WATCH_DEPTH, the bit that came with them. Spec: xenstore.txt, "Domain management and xenstored communications".
 */
import { XS_FEATURE } from '../../hypervisor/public/io/xs-wire.js';
import { failure } from '../protocol/errors.js';
import type { QuotaName } from '../store/quotas.js';
import { type Call, readNumber, stringsOf } from './call.js';

/** The quotas a client can name, in C xenstored's words, and what they are called here. */
// biome-ignore format: one row per quota
export const QUOTAS_NAMED: Readonly<Record<string, { readonly key: QuotaName; readonly text: string }>> = {
  'nodes':             { key: 'nodes',            text: 'Nodes per domain' },
  'watches':           { key: 'watches',          text: 'Watches per domain' },
  'transactions':      { key: 'transactions',     text: 'Transactions per domain' },
  'memory':            { key: 'memory',           text: 'Bytes held by open transactions' },
  'outstanding':       { key: 'outstanding',      text: 'Outstanding requests per domain' },
  'transaction-nodes': { key: 'transactionNodes', text: 'Nodes accessed by a transaction' },
  'node-size':         { key: 'nodeSize',         text: 'Size of a node' },
  'path-max':          { key: 'pathLength',       text: 'Length of a path' },
  'permissions':       { key: 'permissions',      text: 'Permissions of a node' },
};

/** GET_FEATURE [<domid>|] → <value>| */
export function getFeature(call: Call): string {
  requireYounger(call);
  const [domid] = stringsOf(call.packet.body);
  const { server } = call;
  if (domid === undefined || domid === '') return `${server.features}\0`;
  const domain = server.domains.get(readNumber(domid));
  if (domain === undefined) throw failure('ENOENT');
  return `${domain.features ?? server.features}\0`;
}

/** SET_FEATURE <domid>|<value>| : only before INTRODUCE (EBUSY), only bits the server has (EINVAL). */
export function setFeature(call: Call): void {
  requireYounger(call);
  const [domid, value] = stringsOf(call.packet.body);
  if (domid === undefined || !/^\d{1,10}$/.test(value ?? '')) throw failure('EINVAL');
  const bits = Number(value);
  const domain = call.server.domains.mention(readNumber(domid));
  if (domain === undefined) throw failure('ENOENT');
  if (domain.introduced) throw failure('EBUSY');
  if ((bits & ~call.server.features) !== 0) throw failure('EINVAL');
  domain.features = bits;
}

/** GET_QUOTA [[<domid>|]<quota>|] → <value>| , without arguments the names that exist. */
export function getQuota(call: Call): string {
  requireYounger(call);
  const strings = stringsOf(call.packet.body).filter((text) => text !== '');
  if (strings.length === 0) return `${Object.keys(QUOTAS_NAMED).join(' ')}\0`;
  const { domid, quota } = quotaOf(call, strings);
  return `${call.server.quotasOf(domid)[quota]}\0`;
}

/** SET_QUOTA [<domid>|]<quota>|<value>| : without a domain the default for all that have none of their own. */
export function setQuota(call: Call): void {
  requireYounger(call);
  const strings = stringsOf(call.packet.body);
  const value = strings.pop();
  if (value === undefined || !/^\d{1,9}$/.test(value)) throw failure('EINVAL');
  const { domid, quota } = quotaOf(call, strings);
  call.server.setQuota(domid, quota, Number(value));
}

function quotaOf(
  call: Call,
  strings: readonly string[],
): { domid: number | undefined; quota: QuotaName } {
  const quota = QUOTAS_NAMED[strings[strings.length - 1] ?? '']?.key;
  if (quota === undefined || strings.length > 2) throw failure('EINVAL');
  if (strings.length === 1) return { domid: undefined, quota };
  const domid = readNumber(strings[0]);
  if (call.server.domains.mention(domid) === undefined) throw failure('ENOENT');
  return { domid, quota };
}

function requireYounger({ server }: Call): void {
  if ((server.features & XS_FEATURE.WATCH_DEPTH) === 0) throw failure('ENOSYS');
}
