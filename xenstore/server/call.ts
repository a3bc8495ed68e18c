/** One request on its way through a handler: who, what, and how its strings are read. */
import { failure } from '../protocol/errors.js';
import type { Packet } from '../protocol/packet.js';
import type { Request } from '../store/operations.js';
import { type Path, parsePath } from '../store/path.js';
import type { Transaction } from '../store/transaction.js';
import type { Connection } from './connection.js';
import type { ServerContext } from './context.js';

export interface Call {
  readonly server: ServerContext;
  readonly connection: Connection;
  readonly packet: Packet;
  /** The transaction named in the header, if the message heeds it. */
  readonly transaction: Transaction | undefined;
  /** The view, rights and limits of whoever asks. */
  readonly request: Request;
}

/** The NUL-terminated strings of a payload; what follows the last NUL is not one. */
export function stringsOf(body: string): string[] {
  const strings = body.split('\0');
  strings.pop();
  return strings;
}

/** The payload as one string with its NUL and nothing else; EINVAL if it is not. */
export function oneString(body: string): string {
  const end = body.indexOf('\0');
  if (end < 0 || end !== body.length - 1) throw failure('EINVAL');
  return body.slice(0, end);
}

/** The node a string names for the caller; EINVAL if it names none. */
export function pathOf(call: Call, text: string): Path {
  const { actor, quotas } = call.request;
  const path = parsePath(text, actor.domid, quotas.pathLength);
  if (path === undefined) throw failure('EINVAL');
  return path;
}

/** A number the way atoi reads it: leading digits, 0 for junk. */
export const readNumber = (text: string | undefined): number =>
  Number(/^\s*[-+]?\d+/.exec(text ?? '')?.[0] ?? 0);
