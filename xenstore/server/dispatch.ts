/** The messages: one row each. Spec: xs_wire.h, xenstore.txt. */
import { XS } from '../../hypervisor/public/io/xs-wire.js';
import type { Call } from './call.js';
import { control } from './control-calls.js';
import {
  getDomainPath,
  introduce,
  isDomainIntroduced,
  release,
  resume,
  setTarget,
} from './domain-calls.js';
import { getFeature, getQuota, setFeature, setQuota } from './feature-calls.js';
import {
  directory,
  directoryPart,
  getPerms,
  mkdir,
  read,
  rm,
  setPerms,
  write,
} from './node-calls.js';
import { transactionEnd, transactionStart } from './transaction-calls.js';
import { resetWatches, unwatch, watch } from './watch-calls.js';

interface RowBase {
  readonly type: number;
  readonly name: string;
  readonly who: 'all' | 'privileged';
  /** Whether the header's transaction means something; if not it is ignored, even a bad one. */
  readonly transaction: 'heeded' | 'ignored';
}

/** `data`: the handler returns the payload. `ack`: the reply is "OK". `own`: the handler has replied itself. */
export type Row = RowBase &
  (
    | { readonly reply: 'data'; readonly handler: (call: Call) => string }
    | { readonly reply: 'ack' | 'own'; readonly handler: (call: Call) => void }
  );

// biome-ignore format: one row per message
const ROWS: readonly Row[] = [
  { type: XS.CONTROL,              name: 'CONTROL',              who: 'privileged', transaction: 'heeded',  reply: 'data', handler: control },
  { type: XS.DIRECTORY,            name: 'DIRECTORY',            who: 'all',        transaction: 'heeded',  reply: 'data', handler: directory },
  { type: XS.READ,                 name: 'READ',                 who: 'all',        transaction: 'heeded',  reply: 'data', handler: read },
  { type: XS.GET_PERMS,            name: 'GET_PERMS',            who: 'all',        transaction: 'heeded',  reply: 'data', handler: getPerms },
  { type: XS.WATCH,                name: 'WATCH',                who: 'all',        transaction: 'ignored', reply: 'own',  handler: watch },
  { type: XS.UNWATCH,              name: 'UNWATCH',              who: 'all',        transaction: 'ignored', reply: 'ack',  handler: unwatch },
  { type: XS.TRANSACTION_START,    name: 'TRANSACTION_START',    who: 'all',        transaction: 'heeded',  reply: 'data', handler: transactionStart },
  { type: XS.TRANSACTION_END,      name: 'TRANSACTION_END',      who: 'all',        transaction: 'heeded',  reply: 'ack',  handler: transactionEnd },
  { type: XS.INTRODUCE,            name: 'INTRODUCE',            who: 'privileged', transaction: 'heeded',  reply: 'ack',  handler: introduce },
  { type: XS.RELEASE,              name: 'RELEASE',              who: 'privileged', transaction: 'heeded',  reply: 'own',  handler: release },
  { type: XS.GET_DOMAIN_PATH,      name: 'GET_DOMAIN_PATH',      who: 'all',        transaction: 'heeded',  reply: 'data', handler: getDomainPath },
  { type: XS.WRITE,                name: 'WRITE',                who: 'all',        transaction: 'heeded',  reply: 'ack',  handler: write },
  { type: XS.MKDIR,                name: 'MKDIR',                who: 'all',        transaction: 'heeded',  reply: 'ack',  handler: mkdir },
  { type: XS.RM,                   name: 'RM',                   who: 'all',        transaction: 'heeded',  reply: 'ack',  handler: rm },
  { type: XS.SET_PERMS,            name: 'SET_PERMS',            who: 'all',        transaction: 'heeded',  reply: 'ack',  handler: setPerms },
  { type: XS.IS_DOMAIN_INTRODUCED, name: 'IS_DOMAIN_INTRODUCED', who: 'privileged', transaction: 'heeded',  reply: 'data', handler: isDomainIntroduced },
  { type: XS.RESUME,               name: 'RESUME',               who: 'privileged', transaction: 'heeded',  reply: 'ack',  handler: resume },
  { type: XS.SET_TARGET,           name: 'SET_TARGET',           who: 'privileged', transaction: 'heeded',  reply: 'ack',  handler: setTarget },
  { type: XS.RESET_WATCHES,        name: 'RESET_WATCHES',        who: 'all',        transaction: 'heeded',  reply: 'ack',  handler: resetWatches },
  { type: XS.DIRECTORY_PART,       name: 'DIRECTORY_PART',       who: 'all',        transaction: 'heeded',  reply: 'data', handler: directoryPart },
  { type: XS.GET_FEATURE,          name: 'GET_FEATURE',          who: 'privileged', transaction: 'ignored', reply: 'data', handler: getFeature },
  { type: XS.SET_FEATURE,          name: 'SET_FEATURE',          who: 'privileged', transaction: 'ignored', reply: 'ack',  handler: setFeature },
  { type: XS.GET_QUOTA,            name: 'GET_QUOTA',            who: 'privileged', transaction: 'ignored', reply: 'data', handler: getQuota },
  { type: XS.SET_QUOTA,            name: 'SET_QUOTA',            who: 'privileged', transaction: 'ignored', reply: 'ack',  handler: setQuota },
];

const BY_TYPE: readonly (Row | undefined)[] = Array.from({ length: XS.SET_QUOTA + 1 }, (_, type) =>
  ROWS.find((row) => row.type === type),
);

/** The row of a message type; undefined: ENOSYS. */
export const lookupRow = (type: number): Row | undefined => BY_TYPE[type];
