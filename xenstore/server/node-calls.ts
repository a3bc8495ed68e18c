/** Handlers of the messages about nodes. Spec: xenstore.txt, "Database read, write and permissions operations". */
import { XS_LIMIT } from '../../hypervisor/public/io/xs-wire.js';
import { failure } from '../protocol/errors.js';
import { formatPermission, type Permission, parsePermission } from '../protocol/permissions.js';
import {
  makeNode,
  removeNode,
  requireNode,
  setPermissions,
  toPermissions,
  writeNode,
} from '../store/operations.js';
import { RIGHT } from '../store/permissions.js';
import { type Call, oneString, pathOf, readNumber, stringsOf } from './call.js';

/** READ <path>| → <value> */
export function read(call: Call): string {
  const path = pathOf(call, oneString(call.packet.body));
  return requireNode(call.request, path, RIGHT.READ).value;
}

/** WRITE <path>|<value> */
export function write(call: Call): void {
  const { body } = call.packet;
  const end = body.indexOf('\0');
  if (end < 0) throw failure('EINVAL');
  writeNode(call.request, pathOf(call, body.slice(0, end)), body.slice(end + 1));
}

/** MKDIR <path>| */
export function mkdir(call: Call): void {
  makeNode(call.request, pathOf(call, oneString(call.packet.body)));
}

/** RM <path>| */
export function rm(call: Call): void {
  removeNode(call.request, pathOf(call, oneString(call.packet.body)));
}

/** DIRECTORY <path>| → <leaf>|* ; E2BIG if that is too long for a payload. */
export function directory(call: Call): string {
  const path = pathOf(call, oneString(call.packet.body));
  const node = requireNode(call.request, path, RIGHT.READ);
  if (node.namesLength > XS_LIMIT.PAYLOAD_MAX) throw failure('E2BIG');
  return node.names();
}

/** DIRECTORY_PART <path>|<offset>| → <generation>|<leaf>|* , with one more NUL behind the last part. */
export function directoryPart(call: Call): string {
  const [name, offset] = stringsOf(call.packet.body);
  if (name === undefined || offset === undefined) throw failure('EINVAL');
  const node = requireNode(call.request, pathOf(call, name), RIGHT.READ);
  const generation = `${node.generation}\0`;
  const start = readNumber(offset);
  if (start < 0 || start >= node.namesLength) return `${generation}\0`;
  const names = node.names();
  const room = XS_LIMIT.PAYLOAD_MAX - generation.length - 1;
  if (names.length - start <= room) return `${generation}${names.slice(start)}\0`;
  const end = names.lastIndexOf('\0', start + room - 1) + 1;
  return generation + names.slice(start, Math.max(start, end));
}

/** GET_PERMS <path>| → <permission>|+ */
export function getPerms(call: Call): string {
  const path = pathOf(call, oneString(call.packet.body));
  const { permissions } = requireNode(call.request, path, RIGHT.READ);
  return permissions.entries.map((entry) => `${formatPermission(entry)}\0`).join('');
}

/** SET_PERMS <path>|<permission>|+ */
export function setPerms(call: Call): void {
  const [name, ...texts] = stringsOf(call.packet.body);
  if (name === undefined || texts.length === 0) throw failure('EINVAL');
  const entries = texts.map(requirePermission);
  const { server } = call;
  // Mentioned domains are those that exist now; entries for others never count (rule 19).
  const known = entries.map((entry) => server.domains.mention(entry.domid) !== undefined);
  if (known[0] !== true) throw failure('ENOENT');
  const permissions = toPermissions(entries, server.store.nextGeneration());
  if (name.startsWith('@')) server.specials.setPermissions(name, permissions, call.request);
  else setPermissions(call.request, pathOf(call, name), permissions);
}

function requirePermission(text: string): Permission {
  const permission = parsePermission(text);
  if (permission === undefined) throw failure('EINVAL');
  return permission;
}
