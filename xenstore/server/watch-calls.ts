/** Handlers of WATCH, UNWATCH and RESET_WATCHES. Spec: xenstore.txt, section "Watches". */
import { XS_FEATURE } from '../../hypervisor/public/io/xs-wire.js';
import { failure } from '../protocol/errors.js';
import { domainPath } from '../store/path.js';
import { type Call, pathOf, stringsOf } from './call.js';
import type { Watch } from './connection.js';

/** WATCH <wpath>|<token>|[<depth>|] : the reply first, then one event at once (rule 22). */
export function watch(call: Call): void {
  const strings = stringsOf(call.packet.body);
  const [name, token] = strings;
  if (name === undefined || token === undefined) throw failure('EINVAL');
  const { connection, server } = call;
  const made = makeWatch(call, name, token, depthOf(call, strings));
  const key = watchKey(made.path, token);
  if (connection.watches.has(key)) throw failure('EEXIST');
  const { privileged } = call.request.actor;
  if (!privileged && connection.watches.size > call.request.quotas.watches) throw failure('E2BIG');
  connection.watches.set(key, made);
  server.watching.add(made);
  connection.reply(call.packet, 'OK\0');
  connection.event(name, token, name.startsWith('@'));
}

/** UNWATCH <wpath>|<token>| */
export function unwatch(call: Call): void {
  const [name, token, ...more] = stringsOf(call.packet.body);
  if (name === undefined || token === undefined || more.length > 0) throw failure('EINVAL');
  const path = name.startsWith('@') ? name : pathOf(call, name).text;
  const { connection, server } = call;
  const key = watchKey(path, token);
  const found = connection.watches.get(key);
  if (found === undefined) throw failure('ENOENT');
  connection.watches.delete(key);
  server.watching.delete(found);
}

/** RESET_WATCHES | : drops the caller's watches and transactions. */
export function resetWatches(call: Call): void {
  call.server.reset(call.connection);
}

// By the absolute path: a relative name of the same node makes the same watch, as in C.
const watchKey = (path: string, token: string): string => `${path}\0${token}`;

function depthOf(call: Call, strings: readonly string[]): number {
  if (strings.length === 2) return Number.POSITIVE_INFINITY;
  const depth = strings[2];
  const offered = call.server.featuresOf(call.connection) & XS_FEATURE.WATCH_DEPTH;
  if (strings.length !== 3 || offered === 0 || !/^\d{1,9}$/.test(depth ?? '')) {
    throw failure('EINVAL');
  }
  return Number(depth);
}

function makeWatch(call: Call, name: string, token: string, depth: number): Watch {
  const { connection, server } = call;
  const serial = server.nextSerial();
  if (name.startsWith('@')) {
    return { connection, name, token, path: name, parts: [], depth, serial, hidden: 0 };
  }
  const path = pathOf(call, name);
  const hidden = name.startsWith('/') ? 0 : domainPath(connection.domid).length + 1;
  return { connection, name, token, path: path.text, parts: path.parts, depth, serial, hidden };
}
