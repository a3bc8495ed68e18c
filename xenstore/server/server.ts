/**
 * The server: answers packets on connections, and owns everything they share. It knows no transport, and does
 * nothing on its own: all that happens happens in `connect`, `Connection.receive` and `domainDied`.
 */
import { XenStoreError } from '../protocol/errors.js';
import type { Packet } from '../protocol/packet.js';
import { type Path, parsePath, ROOT_PATH } from '../store/path.js';
import { DEFAULT_QUOTAS, type QuotaName, type Quotas } from '../store/quotas.js';
import { Store } from '../store/store.js';
import type { Conflict, Transaction } from '../store/transaction.js';
import { LiveView } from '../store/view.js';
import type { Call } from './call.js';
import { Connection, type ConnectionOwner } from './connection.js';
import type { ServerContext } from './context.js';
import { lookupRow, type Row } from './dispatch.js';
import { Domains } from './domains.js';
import { inspectServer, snapshotNode } from './inspect.js';
import { removeOwned } from './reap.js';
import { RecentList, recordOf } from './recent.js';
import type {
  ConflictRecord,
  ConnectOptions,
  Inspection,
  NodeSnapshot,
  RequestRecord,
  ServerHooks,
  ServerOptions,
} from './types.js';
import { INTRODUCE_DOMAIN, RELEASE_DOMAIN, Specials, Watching } from './watching.js';

const AUTHOR = { connection: 0, domid: 0, label: 'xenstored' };
const DEFAULT_EVENT_BACKLOG = 1024 * 1024;
const DEFAULT_RECENT = 256;
const RECENT_CONFLICTS = 64;

export class XenstoreServer implements ConnectionOwner, ServerContext {
  readonly store = new Store();
  readonly specials = new Specials();
  readonly domains: Domains;
  readonly watching: Watching;
  readonly clock: () => number;
  readonly eventBacklog: number;
  /** XS_FEATURE bits offered to domains. */
  readonly features: number;
  /** Called with each request that was answered; while nobody is set, it costs nothing. */
  onRequest: ((request: RequestRecord) => void) | undefined;
  /** Whether CONTROL has switched the log on. */
  logging = false;
  readonly #hooks: ServerHooks;
  #quotas: Quotas;
  readonly #ownQuotas = new Map<number, Quotas>();
  readonly #connections = new Set<Connection>();
  readonly #dirty: Connection[] = [];
  readonly #views = new WeakMap<Connection, LiveView>();
  readonly #requests: RecentList<RequestRecord>;
  readonly #conflicts = new RecentList<ConflictRecord>(RECENT_CONFLICTS);
  #serial = 0;
  #flushing = false;

  constructor(options: ServerOptions = {}) {
    this.#hooks = options.hooks ?? {};
    this.clock = options.clock ?? Date.now;
    this.eventBacklog = options.eventBacklog ?? DEFAULT_EVENT_BACKLOG;
    this.features = options.features ?? 0;
    this.#quotas = { ...DEFAULT_QUOTAS, ...options.quotas };
    this.#requests = new RecentList(options.recentRequests ?? DEFAULT_RECENT);
    const exists = this.#hooks.domainExists?.bind(this.#hooks) ?? (() => true);
    this.domains = new Domains(exists, () => this.store.nextGeneration());
    this.watching = new Watching(this.store, this.specials, this.domains.since);
    this.#makeInitialNodes();
  }

  /** Adds a client. A connection of a domain other than 0 is that domain's ring. */
  connect(options: ConnectOptions): Connection {
    const { domid, transport, send } = options;
    const link = { send, close: options.close ?? (() => undefined) };
    const connection = new Connection(this.nextSerial(), domid, transport, link, this);
    this.#connections.add(connection);
    this.#views.set(connection, new LiveView(this.store, connection.author, this.watching.fire));
    if (domid !== 0) {
      const domain = this.domains.require(domid);
      domain.connection?.close('connected again');
      domain.connection = connection;
    }
    return connection;
  }

  /** INTRODUCE, for a host that does not want to send it. */
  introduce(domid: number, mfn: number, port: number): void {
    const domain = this.domains.mention(domid);
    if (domain === undefined) throw new XenStoreError('ENOENT', `no domain ${domid}`);
    const again = domain.introduced;
    domain.introduced = true;
    domain.mfn = mfn;
    domain.port = port;
    if (domain.connection !== undefined) this.reset(domain.connection);
    this.#hooks.introduce?.(domid, mfn, port);
    if (!again) this.watching.fireSpecial(INTRODUCE_DOMAIN);
    this.flush();
  }

  /** A domain is gone: its nodes, watches, transactions and rights go with it, and @releaseDomain fires. */
  domainDied(domid: number): void {
    const domain = this.domains.get(domid);
    if (domain === undefined || domid === 0) return;
    domain.connection?.close('domain released');
    removeOwned(new LiveView(this.store, AUTHOR, this.watching.fire), domid);
    this.specials.dropDomain(domid);
    this.domains.forget(domid);
    this.#ownQuotas.delete(domid);
    this.#hooks.release?.(domid);
    if (domain.introduced) this.watching.fireSpecial(RELEASE_DOMAIN);
    this.flush();
  }

  /** A domain has shut down or crashed, and may still be resumed: @releaseDomain fires, once until RESUME. */
  domainShutdown(domid: number): void {
    const domain = this.domains.get(domid);
    if (domain?.introduced !== true || domain.shutdown) return;
    domain.shutdown = true;
    this.watching.fireSpecial(RELEASE_DOMAIN);
    this.flush();
  }

  handle(connection: Connection, packet: Packet): void {
    const row = lookupRow(packet.type);
    connection.requests += 1;
    let result = 'OK';
    try {
      this.#answer(connection, packet, row);
    } catch (error) {
      result = this.#codeOf(error);
      connection.fail(packet, result);
    }
    if (this.#requests.capacity > 0 || this.onRequest !== undefined) {
      this.#record(connection, packet, row, result);
    }
  }

  dirty(connection: Connection): void {
    this.#dirty.push(connection);
  }

  /** One write per connection and turn, whatever it gathered. */
  flush(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    // Sending may close a connection, which queues nothing, or drain one, which flushes itself.
    for (let i = 0; i < this.#dirty.length; i++) this.#dirty[i]?.flush();
    this.#dirty.length = 0;
    this.#flushing = false;
  }

  closed(connection: Connection): void {
    this.reset(connection);
    this.#connections.delete(connection);
    const domain = this.domains.get(connection.domid);
    if (domain?.connection !== connection) return;
    domain.connection = undefined;
    // A ring that was connected too late, for a domain that is gone already.
    if (!domain.introduced && connection.domid !== 0) this.domains.forget(connection.domid);
  }

  /** Drops a connection's watches and transactions. */
  reset(connection: Connection): void {
    for (const watch of connection.watches.values()) this.watching.delete(watch);
    connection.watches.clear();
    connection.transactions.clear();
  }

  nextSerial(): number {
    this.#serial += 1;
    return this.#serial;
  }

  /** Feature bits a connection may use. */
  featuresOf({ domid }: Connection): number {
    return this.domains.get(domid)?.features ?? this.features;
  }

  /** The quotas of a domain, or the default ones. */
  quotasOf(domid?: number): Quotas {
    return (domid === undefined ? undefined : this.#ownQuotas.get(domid)) ?? this.#quotas;
  }

  /** @param domid undefined: the default, for all domains without quotas of their own */
  setQuota(domid: number | undefined, quota: QuotaName, value: number): void {
    const changed = { ...this.quotasOf(domid), [quota]: value };
    if (domid === undefined) this.#quotas = changed;
    else this.#ownQuotas.set(domid, changed);
  }

  /** What a domain uses of those quotas that are counted. */
  usageOf(domid: number): Partial<Record<QuotaName, number>> {
    const connection = this.domains.get(domid)?.connection;
    return {
      nodes: this.store.owned(domid),
      watches: connection?.watches.size ?? 0,
      transactions: connection?.transactions.size ?? 0,
      memory: connection?.transactionBytes ?? 0,
      outstanding: connection?.outstanding ?? 0,
    };
  }

  log(text: string): void {
    this.#hooks.log?.(text);
  }

  recordConflict(connection: Connection, transaction: Transaction, conflict: Conflict): void {
    const at = this.clock();
    this.#conflicts.add({
      at,
      connection: connection.id,
      domid: connection.domid,
      transaction: transaction.id,
      age: at - transaction.startedAt,
      ...conflict,
    });
  }

  /** Everything an operator may want to see, as plain data. */
  inspect(): Inspection {
    return inspectServer(this, this.#connections, this.#requests.all(), this.#conflicts.all());
  }

  /**
   * A node and what is below it, as plain data of one moment.
   * @param depth levels below the node; undefined: all
   * @returns undefined: no such node, or no valid path
   */
  snapshot(path = '/', depth = Number.POSITIVE_INFINITY): NodeSnapshot | undefined {
    const parsed = parsePath(path, 0, Number.POSITIVE_INFINITY);
    const node = parsed && this.store.lookup(parsed);
    return node && snapshotNode(parsed as Path, node, depth);
  }

  /** Nodes as counted, and as found in the tree. */
  checkStore(): { counted: number; found: number } {
    return { counted: this.store.size, found: countNodes(this.store) };
  }

  #answer(connection: Connection, packet: Packet, row: Row | undefined): void {
    if (row === undefined) throw new XenStoreError('ENOSYS');
    if (row.who === 'privileged' && connection.domid !== 0) throw new XenStoreError('EACCES');
    const call = this.#callOf(connection, packet, row);
    if (row.reply === 'data') {
      connection.reply(packet, row.handler(call));
      return;
    }
    row.handler(call);
    if (row.reply === 'ack') connection.reply(packet, 'OK\0');
  }

  #callOf(connection: Connection, packet: Packet, row: Row): Call {
    const heeded = packet.txId !== 0 && row.transaction === 'heeded';
    const transaction = heeded ? connection.transactions.get(packet.txId) : undefined;
    if (heeded && transaction === undefined) throw new XenStoreError('ENOENT');
    const view = transaction ?? this.#views.get(connection);
    if (view === undefined) throw new Error('a connection of another server');
    const request = {
      view,
      actor: connection.actor,
      quotas: this.quotasOf(connection.domid),
      since: this.domains.since,
    };
    return { server: this, connection, packet, transaction, request };
  }

  #codeOf(error: unknown): string {
    if (error instanceof XenStoreError) return error.code;
    if (this.#hooks.bug === undefined) throw error;
    this.#hooks.bug(error);
    return 'EIO';
  }

  #record(connection: Connection, packet: Packet, row: Row | undefined, result: string): void {
    const record = recordOf(
      this.#requests.next,
      this.clock(),
      connection,
      packet,
      row?.name,
      result,
    );
    this.#requests.add(record);
    this.onRequest?.(record);
  }

  #makeInitialNodes(): void {
    const permissions = this.store.root.permissions;
    for (const text of ['/tool', '/tool/xenstored']) {
      const path = parsePath(text, 0, Number.POSITIVE_INFINITY);
      if (path !== undefined) this.store.create(path, { value: '', permissions }, AUTHOR);
    }
  }
}

function countNodes(store: Store): number {
  let count = 0;
  const pending = [store.lookup(ROOT_PATH)];
  while (pending.length > 0) {
    const node = pending.pop();
    if (node === undefined) continue;
    count += 1;
    pending.push(...node.listing());
  }
  return count;
}
