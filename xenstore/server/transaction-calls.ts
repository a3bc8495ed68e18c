/** Handlers of TRANSACTION_START and TRANSACTION_END. Spec: xenstore.txt, section "Transactions". */
import { failure } from '../protocol/errors.js';
import { Transaction, type TransactionLimits } from '../store/transaction.js';
import { type Call, oneString } from './call.js';

/** TRANSACTION_START | → <id>| */
export function transactionStart(call: Call): string {
  if (call.transaction !== undefined) throw failure('EBUSY');
  const { connection, server, request } = call;
  const { privileged } = request.actor;
  if (!privileged && connection.transactions.size > request.quotas.transactions) {
    throw failure('ENOSPC');
  }
  const id = freeId(call);
  const limits = privileged ? UNLIMITED : limitsOf(call);
  const started = server.clock();
  const { author } = connection;
  connection.transactions.set(id, new Transaction(id, started, server.store, author, limits));
  return `${id}\0`;
}

const UNLIMITED: TransactionLimits = {
  nodes: Number.POSITIVE_INFINITY,
  room: () => Number.POSITIVE_INFINITY,
};

const limitsOf = ({ connection, request }: Call): TransactionLimits => ({
  nodes: request.quotas.transactionNodes,
  room: () => request.quotas.memory - connection.transactionBytes,
});

/** TRANSACTION_END T|F| : the id is gone afterwards, whatever the answer. */
export function transactionEnd(call: Call): void {
  const { connection, server, transaction } = call;
  const verdict = oneString(call.packet.body);
  if (verdict !== 'T' && verdict !== 'F') throw failure('EINVAL');
  if (transaction === undefined) throw failure('ENOENT');
  connection.transactions.delete(transaction.id);
  if (verdict === 'F') return;
  if (transaction.spoiled) throw failure('ENOMEM');
  const outcome = transaction.commit();
  if (outcome.kind === 'conflict') {
    server.recordConflict(connection, transaction, outcome.conflict);
    throw failure('EAGAIN');
  }
  for (const change of outcome.changes) server.watching.fire(change);
}

/** The next id of the connection: from 1, never 0, never one in use. */
function freeId({ connection }: Call): number {
  while (connection.transactions.has(connection.nextTransaction)) advance(connection);
  const id = connection.nextTransaction;
  advance(connection);
  return id;
}

function advance(connection: Call['connection']): void {
  connection.nextTransaction = (connection.nextTransaction % 0xffff_ffff) + 1;
}
