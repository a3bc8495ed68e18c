/** Entity tags. That of a domain is of what it is configured to be, not of figures that change by themselves. */

import { createHash } from 'node:crypto';
import { CommandError } from './errors.js';
import type { DomainRecord } from './record.js';

export function etagOf({ config, name, uuid, domid, devices, endedAt }: DomainRecord): string {
  const disks = devices.disks().map(({ vdev, target, access }) => [vdev, target, access]);
  const vifs = devices.vifs(uuid).map(({ devid, mac, bridge }) => [devid, mac, bridge]);
  return tagOf([config, name, uuid, domid, disks, vifs, endedAt]);
}

/** The tag of a value that has a JSON form. */
export const tagOf = (value: unknown): string =>
  `"${createHash('sha256').update(JSON.stringify(value)).digest('base64url').slice(0, 22)}"`;

/** Throws `precondition-failed` unless If-Match, where there is one, names the tag. */
export function requireMatch(record: DomainRecord, ifMatch: string | undefined): void {
  if (ifMatch === undefined || namesTag(ifMatch, etagOf(record))) return;
  const message = `Domain ${record.domid} has been changed meanwhile; its ETag is ${etagOf(record)}.`;
  throw new CommandError('precondition-failed', message);
}

/** Whether a list of tags names one; `*` names any. */
export const namesTag = (list: string, tag: string): boolean =>
  list.split(',').some((each) => each.trim() === '*' || each.trim().replace(/^W\//, '') === tag);
