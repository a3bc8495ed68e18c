/** The API as xl sees it: JSON over HTTP, and WebSockets. */

import { Readable } from 'node:stream';
import type { ReadableStream } from 'node:stream/web';
import { WebSocket } from 'ws';
import type { z } from 'zod';
import { Problem } from '../schemas/problem.js';
import { sayVerbosely } from './log.js';

/** Something to tell the user in one line, with exit status 1. */
export class UserError extends Error {
  override readonly name = 'UserError';
}

/** The service refused. */
export class Refusal extends UserError {
  readonly status: number;
  /** In its own words, if it was our service. */
  readonly problem: Problem | undefined;

  constructor(status: number, problem: Problem | undefined) {
    super(problem === undefined ? `HTTP status ${status}` : inWords(problem));
    this.status = status;
    this.problem = problem;
  }
}

export class Client {
  readonly #base: URL;
  /** What shows who asks. */
  readonly #credentials: Record<string, string>;

  /** @param token of the service, if it wants one. */
  constructor(base: string, token?: string) {
    if (!URL.canParse(base)) throw new UserError(`"${base}" is not a URL`);
    this.#base = new URL(base);
    this.#credentials = token ? { authorization: `Bearer ${token}` } : {};
  }

  /** @param schema what the answer must be. */
  async json<S extends z.ZodType>(
    schema: S,
    method: string,
    path: string,
    body?: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<z.output<S>> {
    const init =
      body === undefined
        ? { headers }
        : {
            body: JSON.stringify(body),
            headers: { ...headers, 'content-type': 'application/json' },
          };
    const response = await this.#fetch(path, { method, ...init });
    const answer = schema.safeParse(parseJson(await response.text()));
    if (answer.success) return answer.data;
    throw new UserError(
      `${this.#base.origin} answers ${method} ${path} as no Xenolith of this version`,
    );
  }

  async text(path: string): Promise<string> {
    return (await this.#fetch(path, {})).text();
  }

  /** The body as it comes. */
  async stream(path: string): Promise<Readable> {
    const { body } = await this.#fetch(path, {});
    return Readable.fromWeb(body as ReadableStream);
  }

  async uploadStream(path: string, body: Readable): Promise<void> {
    const headers = { 'content-type': 'application/octet-stream' };
    const web = Readable.toWeb(body) as BodyInit;
    await this.#fetch(path, { method: 'PUT', body: web, headers, duplex: 'half' } as RequestInit);
  }

  /** A POST without a body, whose answer has none. */
  async post(path: string): Promise<void> {
    await this.#fetch(path, { method: 'POST' });
  }

  async remove(path: string): Promise<void> {
    await this.#fetch(path, { method: 'DELETE' });
  }

  async upload(path: string, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    const headers = { 'content-type': 'application/octet-stream' };
    await this.#fetch(path, { method: 'PUT', body: bytes, headers });
  }

  /** Connects; rejects with the service's reason if it refuses. */
  socket(path: string): Promise<WebSocket> {
    const url = new URL(path, this.#base);
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
    const socket = new WebSocket(url, { headers: this.#credentials });
    // Frames may come in the same turn as the handshake: nothing is read until the caller listens.
    return new Promise((resolve, reject) => {
      socket.once('open', () => {
        socket.pause();
        resolve(socket);
      });
      socket.once('error', (error) => reject(this.#unreachable(error)));
      socket.once('unexpected-response', (_request, response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString();
          reject(refusalOf(response.statusCode ?? 0, text));
        });
      });
    });
  }

  async #fetch(path: string, init: RequestInit): Promise<Response> {
    const headers = { ...init.headers, ...this.#credentials };
    const url = new URL(path, this.#base);
    const response = await fetch(url, { ...init, headers }).catch((error: unknown) => {
      throw this.#unreachable(error);
    });
    sayVerbosely(`${init.method ?? 'GET'} ${path}: ${response.status}`);
    if (!response.ok) throw refusalOf(response.status, await response.text());
    return response;
  }

  #unreachable(error: unknown): UserError {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    const reason = cause instanceof Error ? cause.message : String(cause);
    return new UserError(`cannot reach ${this.#base.origin}: ${reason} (is "npm start" running?)`);
  }
}

function refusalOf(status: number, text: string): Refusal {
  return new Refusal(status, Problem.safeParse(parseJson(text)).data);
}

/** The detail, then what the errno means, then the lines that say more. */
function inWords({ detail, errno, errnoMeaning, log = [] }: Problem): string {
  const meaning = errnoMeaning === undefined ? [] : [`  ${errno}: ${errnoMeaning}`];
  return [detail, ...meaning, ...log.map((line) => `  | ${line}`)].join('\n');
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
