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
  keepLastOutput(record);
  return reason;
}

/** Its next incarnation begins with nothing of this. */
export function forgetEnd(record: DomainRecord): void {
  delete record.shutdownReason;
  delete record.detail;
  delete record.lastOutput;
}

/** Lines that are kept, characters of each, and bytes of the console that are looked at for them. */
const LINES = 20;
const LONGEST_LINE = 500;
const TAIL_BYTES = 16 * 1024;
const CONTROL = /(?!\t)\p{Cc}/gu;

/** Takes what the guest has printed to the last, and remembers the end of it. */
export function keepLastOutput(record: DomainRecord): void {
  record.console.pump();
  const text = new TextDecoder().decode(record.console.history.bytes(TAIL_BYTES));
  const lines = text.split('\n').map((line) => line.replaceAll(CONTROL, '').slice(0, LONGEST_LINE));
  while (lines.at(-1) === '') lines.pop();
  record.lastOutput = lines.slice(-LINES);
}
