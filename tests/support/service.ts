/** A whole service for tests: the real hypervisor, on loopback, on a port that is free. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type RawData, WebSocket } from 'ws';
import { DEFAULTS, type ServiceOptions } from '../../toolstack/options.js';
import { type Service, startService } from '../../toolstack/service.js';

export interface TestService extends Service {
  /** The folder that holds its uploads and its store socket. */
  readonly folder: string;
  /** A request with a JSON body, if any. */
  request(method: string, path: string, body?: unknown, headers?: HeaderFields): Promise<Answer>;
}

type HeaderFields = Readonly<Record<string, string>>;

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into it with matchers
  readonly json: any;
}

/** @param log hears what the service says. */
export async function startTestService(
  options: Partial<ServiceOptions> = {},
  log?: (line: string) => void,
): Promise<TestService> {
  const folder = mkdtempSync(join(tmpdir(), 'xenolith-'));
  const all: ServiceOptions = {
    ...DEFAULTS,
    port: 0,
    memory: 256,
    state: join(folder, 'state'),
    uploads: join(folder, 'images'),
    cache: join(folder, 'cache'),
    disks: [join(folder, 'disks')],
    cores: join(folder, 'cores'),
    saves: join(folder, 'saves'),
    recordings: join(folder, 'recordings'),
    storeSocket: join(folder, 'xenstored.sock'),
    demo: undefined,
    ...options,
  };
  const service = await startService(all, log);
  return {
    ...service,
    folder,
    request: (method, path, body, headers) => request(service.url + path, method, body, headers),
    close: async () => {
      await service.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Uploads a kernel or a RAM disk. @throws Error if it is refused. */
export async function uploadImage(
  service: Pick<TestService, 'url'>,
  name: string,
  bytes: Uint8Array,
): Promise<void> {
  const body = new Uint8Array(bytes);
  const answer = await fetch(`${service.url}/v1/images/${name}`, { method: 'PUT', body });
  if (!answer.ok) throw new Error(`upload of ${name}: ${await answer.text()}`);
}

async function request(
  url: string,
  method: string,
  body: unknown,
  headers: HeaderFields = {},
): Promise<Answer> {
  const json = { 'content-type': 'application/json', ...headers };
  const response = await fetch(url, {
    method,
    headers,
    ...(body !== undefined && { body: JSON.stringify(body), headers: json }),
  });
  const text = await response.text();
  const type = response.headers.get('content-type');
  const isJson = text !== '' && /[/+]json/.test(type ?? '');
  const { status } = response;
  return { status, headers: response.headers, text, json: isJson ? JSON.parse(text) : undefined };
}

/** A WebSocket with everything that came over it, and a way to wait for more. */
export class TestSocket {
  readonly socket: WebSocket;
  readonly frames: { data: Buffer; binary: boolean }[] = [];
  closed: { code: number; reason: string } | undefined;
  #wake: () => void = () => undefined;
  /** Frames that have been parsed, and what was in them. */
  #parsed = 0;
  readonly #lines: unknown[] = [];

  constructor(
    url: string,
    options: { headers?: Record<string, string> } = {},
    protocols: string[] = [],
  ) {
    this.socket = new WebSocket(url.replace(/^http/, 'ws'), protocols, options);
    this.socket.on('message', (data: RawData, binary: boolean) => {
      this.frames.push({ data: data as Buffer, binary });
      this.#wake();
    });
    this.socket.on('close', (code, reason) => {
      this.closed = { code, reason: String(reason) };
      this.#wake();
    });
    this.socket.on('error', () => undefined);
  }

  /** Everything that came in frames of the kind, as text. */
  output(binary = true): string {
    const wanted = this.frames.filter((frame) => frame.binary === binary);
    return Buffer.concat(wanted.map(({ data }) => data)).toString();
  }

  /** The text frames as JSON, one object a line. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into it with matchers
  lines(): any[] {
    for (const { data, binary } of this.frames.slice(this.#parsed)) {
      if (binary) continue;
      const lines = data.toString().split('\n');
      for (const line of lines) if (line !== '') this.#lines.push(JSON.parse(line));
    }
    this.#parsed = this.frames.length;
    return this.#lines;
  }

  opened(): Promise<void> {
    if (this.socket.readyState === WebSocket.OPEN) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.socket.once('open', () => resolve());
      this.socket.once('error', reject);
    });
  }

  /** Waits until the condition holds; fails after the time with what has come so far. */
  async until(condition: () => boolean, what: string, timeoutMs = 60_000): Promise<void> {
    const deadline = Date.now() + timeoutMs;
    while (!condition()) {
      const left = deadline - Date.now();
      if (left <= 0) throw new Error(`no ${what} within ${timeoutMs} ms; so far: ${this.#tail()}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, Math.min(left, 250));
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  /** Waits for text in the binary output. */
  shows(text: string, timeoutMs?: number): Promise<void> {
    return this.until(() => this.output().includes(text), JSON.stringify(text), timeoutMs);
  }

  send(text: string): void {
    this.socket.send(text);
  }

  close(): void {
    this.socket.terminate();
  }

  #tail(): string {
    return JSON.stringify((this.output() + this.output(false)).slice(-2000));
  }
}

/** Polls until the condition holds. */
export async function eventually<Result>(
  look: () => Promise<Result>,
  holds: (result: Result) => boolean,
  timeoutMs = 60_000,
): Promise<Result> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const result = await look();
    if (holds(result)) return result;
    if (Date.now() > deadline) throw new Error(`still ${JSON.stringify(result)}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
