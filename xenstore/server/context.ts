/** What handlers see of the server. */
import type { QuotaName, Quotas } from '../store/quotas.js';
import type { Store } from '../store/store.js';
import type { Conflict, Transaction } from '../store/transaction.js';
import type { Connection } from './connection.js';
import type { Domains } from './domains.js';
import type { Inspection } from './types.js';
import type { Specials, Watching } from './watching.js';

export interface ServerContext {
  readonly store: Store;
  readonly domains: Domains;
  readonly watching: Watching;
  readonly specials: Specials;
  /** Milliseconds since the epoch. */
  readonly clock: () => number;
  /** XS_FEATURE bits offered to domains. */
  readonly features: number;
  /** Whether CONTROL has switched the log on. */
  logging: boolean;
  introduce(domid: number, mfn: number, port: number): void;
  domainDied(domid: number): void;
  /** Drops a connection's watches and transactions. */
  reset(connection: Connection): void;
  /** Numbers connections and watches in order. */
  nextSerial(): number;
  /** Feature bits a connection may use. */
  featuresOf(connection: Connection): number;
  /** The quotas of a domain, or the default ones. */
  quotasOf(domid?: number): Quotas;
  /** @param domid undefined: the default, for all domains without quotas of their own */
  setQuota(domid: number | undefined, quota: QuotaName, value: number): void;
  /** What a domain uses of those quotas that are counted. */
  usageOf(domid: number): Partial<Record<QuotaName, number>>;
  log(text: string): void;
  recordConflict(connection: Connection, transaction: Transaction, conflict: Conflict): void;
  /** Everything an operator may want to see, as plain data. */
  inspect(): Inspection;
  /** Nodes as counted, and as found in the tree. */
  checkStore(): { counted: number; found: number };
}
