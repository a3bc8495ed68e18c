/** What the server's users give it and get from it. */
import type { QuotaName, Quotas } from '../store/quotas.js';

/** The way back to a client. */
export interface Link {
  /**
   * Sends bytes, all of them, now or later. They belong to the caller again when the call is over if it returned
   * true; after false the link keeps them, and nothing more is sent until `Connection.drained`.
   */
  send(bytes: Uint8Array): boolean;
  /** The server ends the connection; `reason` is for logs. Bytes not sent yet may be dropped. */
  close(reason: string): void;
}

export interface ConnectOptions {
  /** Whose connection: 0 for sockets and for the toolstack. */
  readonly domid: number;
  /** For people: "socket", "ring", "toolstack". */
  readonly transport: string;
  /** Sends bytes; `true`: sent or copied, `false`: kept until `Connection.drained`. See Link. */
  readonly send: Link['send'];
  /** The server ended the connection. */
  readonly close?: Link['close'];
}

/** What the world outside does for the server. Everything is optional: a daemon can run without a hypervisor. */
export interface ServerHooks {
  /**
   * A domain was introduced, or introduced again (then its watches and transactions are gone, and its ring starts
   * anew): map its page and `connect` it. Called before the reply is sent.
   */
  introduce?(domid: number, mfn: number, port: number): void;
  /** A domain was released: unmap its page. Its connection is closed already. */
  release?(domid: number): void;
  /** Whether a domain number is in use, for permissions given before INTRODUCE. Without it: every one is. */
  domainExists?(domid: number): boolean;
  /** Text a client wrote to the log (CONTROL print), and what the daemon has to say. */
  log?(text: string): void;
  /** An exception that is no XenStoreError: a bug of ours. The client reads EIO. Without it: thrown. */
  bug?(error: unknown): void;
}

export interface ServerOptions {
  readonly hooks?: ServerHooks;
  /** Quotas that differ from C xenstored's. */
  readonly quotas?: Partial<Quotas>;
  /**
   * XS_FEATURE bits offered to domains. Default 0, as Xen 4.17. With WATCH_DEPTH the messages younger than 4.17
   * (GET/SET_FEATURE, GET/SET_QUOTA) answer too.
   */
  readonly features?: number;
  /** Bytes of events that may wait for a slow reader before its connection is closed. Default 1 MiB. */
  readonly eventBacklog?: number;
  /** Requests kept for `inspect`. Default 256; 0 keeps none. */
  readonly recentRequests?: number;
  /** Milliseconds since the epoch. */
  readonly clock?: () => number;
}

/** One request that was answered, as the inspector shows it. */
export interface RequestRecord {
  readonly serial: number;
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly connection: number;
  readonly domid: number;
  /** Name of the message, or its number if it has none. */
  readonly type: string;
  readonly transaction: number;
  /** The first bytes of the payload, strings separated by spaces. */
  readonly body: string;
  /** OK, or the name of the error. */
  readonly result: string;
}

/** A commit that was refused, with blame. */
export interface ConflictRecord {
  readonly at: number;
  readonly connection: number;
  readonly domid: number;
  readonly transaction: number;
  /** Milliseconds from TRANSACTION_START. */
  readonly age: number;
  readonly path: string;
  readonly what: 'changed' | 'appeared' | 'vanished';
  /** Who last wrote the node. */
  readonly writer: { readonly connection: number; readonly domid: number; readonly label: string };
}

export interface TransactionInfo {
  readonly id: number;
  /** Milliseconds since TRANSACTION_START. */
  readonly age: number;
  readonly touched: readonly { path: string; modified: boolean }[];
}

export interface ConnectionInfo {
  readonly id: number;
  readonly domid: number;
  readonly transport: string;
  readonly requests: number;
  readonly events: number;
  /** Bytes waiting because the client does not read. */
  readonly backlog: number;
  readonly watches: readonly { path: string; token: string }[];
  readonly transactions: readonly TransactionInfo[];
}

export interface DomainInfo {
  readonly domid: number;
  readonly introduced: boolean;
  readonly shutdown: boolean;
  /** What it has used and may use; undefined use: not counted, checked at each request. */
  readonly quotas: Readonly<Record<QuotaName, { used: number | undefined; limit: number }>>;
}

export interface Inspection {
  readonly store: { readonly nodes: number; readonly features: number };
  readonly connections: readonly ConnectionInfo[];
  /** Watches of all connections together. */
  readonly watches: number;
  readonly domains: readonly DomainInfo[];
  /** Commits refused, oldest first, with who was to blame. */
  readonly conflicts: readonly ConflictRecord[];
  /** The last requests, oldest first. */
  readonly requests: readonly RequestRecord[];
}

export interface NodeSnapshot {
  readonly path: string;
  readonly name: string;
  /** As UTF-8; bytes that are not appear as U+FFFD. */
  readonly value: string;
  readonly permissions: readonly string[];
  readonly generation: number;
  /** Absent below the depth asked for. */
  readonly children?: readonly NodeSnapshot[];
}
