/** What an operator can see of the server: plain data, made when asked for. */
import { latin1ToUtf8 } from '../protocol/latin1.js';
import { formatPermission } from '../protocol/permissions.js';
import type { StoreNode } from '../store/node.js';
import { childPath, type Path } from '../store/path.js';
import type { QuotaName } from '../store/quotas.js';
import type { Connection } from './connection.js';
import type { ServerContext } from './context.js';
import type {
  ConflictRecord,
  ConnectionInfo,
  DomainInfo,
  Inspection,
  NodeSnapshot,
  RequestRecord,
} from './types.js';

export function inspectServer(
  server: ServerContext,
  connections: Iterable<Connection>,
  requests: readonly RequestRecord[],
  conflicts: readonly ConflictRecord[],
): Inspection {
  const infos = [...connections].map((connection) => connectionInfo(connection, server.clock()));
  return {
    store: { nodes: server.store.size, features: server.features },
    connections: infos,
    watches: infos.reduce((sum, info) => sum + info.watches.length, 0),
    domains: [...server.domains.all()].map(({ domid, introduced, shutdown }) => ({
      domid,
      introduced,
      shutdown,
      quotas: headroom(server, domid),
    })),
    conflicts,
    requests,
  };
}

export function snapshotNode(path: Path, node: StoreNode, depth: number): NodeSnapshot {
  const { name, generation } = node;
  const shown = {
    path: path.text,
    name,
    value: latin1ToUtf8(node.value),
    permissions: node.permissions.entries.map(formatPermission),
    generation,
  };
  if (depth <= 0) return shown;
  const children = node
    .listing()
    .map((child) => snapshotNode(childPath(path, child.name), child, depth - 1));
  return { ...shown, children };
}

const connectionInfo = (connection: Connection, now: number): ConnectionInfo => ({
  id: connection.id,
  domid: connection.domid,
  transport: connection.transport,
  requests: connection.requests,
  events: connection.events,
  backlog: connection.backlog,
  watches: [...connection.watches.values()].map(({ path, token }) => ({ path, token })),
  transactions: [...connection.transactions.values()].map((transaction) => ({
    id: transaction.id,
    age: now - transaction.startedAt,
    touched: transaction.touched(),
  })),
});

function headroom(server: ServerContext, domid: number): DomainInfo['quotas'] {
  const used = server.usageOf(domid);
  const limits = Object.entries(server.quotasOf(domid)) as [QuotaName, number][];
  return Object.fromEntries(
    limits.map(([name, limit]) => [name, { used: used[name], limit }]),
  ) as DomainInfo['quotas'];
}
