/**
 * Idempotency-Key: a POST that is sent again under the same key gets the answer of the first, and nothing happens twice. Answers
 * are remembered for a day, a bounded number of them; one that says that we have failed is not: the next try is a new one.
 */

import { createHash } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { problem, sendProblem } from './problems.js';

const REMEMBERED = 2000;
const LIFETIME_MS = 24 * 3600 * 1000;
const KEY = /^[!-~]{1,255}$/;

interface Answer {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly body: string;
}

interface Entry {
  /** Of method, path and body. */
  readonly fingerprint: string;
  readonly since: number;
  answer?: Answer;
}

export function installIdempotency(app: FastifyInstance): void {
  const entries = new Map<string, Entry>();
  const mine = new WeakMap<FastifyRequest, string>();
  app.addHook('preHandler', async (request, reply) => {
    const header = request.headers['idempotency-key'];
    if (request.method !== 'POST' || header === undefined) return;
    if (!KEY.test(String(header))) {
      const detail = 'Idempotency-Key has 1 to 255 printable characters.';
      return sendProblem(reply, problem('bad-request', detail, request));
    }
    const key = `${hash(request.headers.authorization ?? '')} ${header}`;
    const fingerprint = hash(request.method, request.url, bodyOf(request.body));
    const known = entries.get(key);
    if (known !== undefined && Date.now() - known.since < LIFETIME_MS) {
      return repeat(known, fingerprint, request, reply);
    }
    entries.delete(key);
    entries.set(key, { fingerprint, since: Date.now() });
    mine.set(request, key);
    const [oldest] = entries.keys();
    if (entries.size > REMEMBERED && oldest !== undefined) entries.delete(oldest);
  });
  app.addHook('onSend', async (request, reply, payload) => {
    const key = mine.get(request);
    const entry = key === undefined ? undefined : entries.get(key);
    if (key === undefined || entry === undefined) return;
    const isWhole = payload === undefined || payload === null || typeof payload === 'string';
    if (reply.statusCode >= 500 || !isWhole) entries.delete(key);
    else entry.answer = answerOf(reply, payload ?? '');
  });
}

function repeat(known: Entry, fingerprint: string, request: FastifyRequest, reply: FastifyReply) {
  if (known.fingerprint !== fingerprint) {
    const detail = 'This Idempotency-Key came with another request before.';
    return sendProblem(reply, problem('key-reused', detail, request));
  }
  if (known.answer === undefined) {
    const detail = 'The request with this Idempotency-Key is still being carried out.';
    return sendProblem(reply, problem('in-flight', detail, request));
  }
  const { status, headers, body } = known.answer;
  reply.headers(headers).header('idempotency-replayed', 'true');
  return reply.code(status).serializer(String).send(body);
}

/** What tells of the request itself is not repeated. */
function answerOf(reply: FastifyReply, body: string): Answer {
  const headers: Record<string, string> = {};
  for (const name of ['content-type', 'location', 'etag', 'preference-applied']) {
    const value = reply.getHeader(name);
    if (value !== undefined) headers[name] = String(value);
  }
  return { status: reply.statusCode, headers, body };
}

const bodyOf = (body: unknown): string | Uint8Array =>
  body instanceof Uint8Array ? body : (JSON.stringify(body) ?? '');

function hash(...parts: (string | Uint8Array)[]): string {
  const sum = createHash('sha256');
  for (const part of parts) sum.update(part).update('\0');
  return sum.digest('base64url');
}
