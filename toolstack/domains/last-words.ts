/** What is kept of a domain that has stopped: why, the status it ended with, and the last lines of its console. */

import type { DomainNotice } from '../../dom0/privcmd.js';
import type { ShutdownReason } from '../schemas/domain.js';
import type { DomainRecord } from './record.js';
import type { Symbols } from './symbols.js';

/** Why a domain crashed that the hypervisor had nothing to say about. */
const OWN_CRASH = 'its kernel said so itself: sched_op(shutdown, crash)';

/** A guest has stopped of itself: why goes into its record. @returns the reason that decides what becomes of it. */
export function noteEnd(
  record: DomainRecord,
  { domid, state, reason: given, detail }: DomainNotice,
  symbols: Symbols,
): ShutdownReason {
  const reason = given ?? (state === 'crashed' ? 'crash' : 'poweroff');
  const why = detail ?? (reason === 'crash' ? OWN_CRASH : undefined);
  record.shutdownReason = reason;
  if (why !== undefined) record.detail = symbols.annotate(domid, why);
  record.console.pump();
  return reason;
}
