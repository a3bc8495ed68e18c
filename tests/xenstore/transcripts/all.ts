/** All transcripts, by rule. */
import type { Transcript } from '../transcript.js';
import { OPERATIONS } from './operations.js';
import { PERMISSIONS } from './permissions.js';
import { PROTOCOL } from './protocol.js';
import { QUOTAS } from './quotas.js';
import { TRANSACTIONS } from './transactions.js';
import { WATCHES } from './watches.js';

export const ALL_TRANSCRIPTS: readonly Transcript[] = [
  ...PROTOCOL,
  ...OPERATIONS,
  ...PERMISSIONS,
  ...WATCHES,
  ...TRANSACTIONS,
  ...QUOTAS,
];

export const titleOf = ({ rule, title }: Transcript): string => `rule ${rule}: ${title}`;
