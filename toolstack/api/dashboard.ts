/** The dashboard: the files of toolstack/dashboard and the terminal that its page uses, each under its own path and no other. */

import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { extname, join } from 'node:path';
import type { FastifyInstance } from 'fastify';

const FOLDER = join(import.meta.dirname, '..', 'dashboard');

// biome-ignore format: one row per type
const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css':  'text/css; charset=utf-8',
  '.js':   'text/javascript; charset=utf-8',
  '.mjs':  'text/javascript; charset=utf-8',
  '.svg':  'image/svg+xml',
};

/** Nothing but what this service serves is ever loaded, run or asked. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const HEADERS = {
  'content-security-policy': POLICY,
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  // Kept, and asked about each time: a new version of the service has a new page.
  'cache-control': 'no-cache',
};

/** The page asks for a token itself. */
const config = { scope: 'public' } as const;

export async function dashboardRoutes(app: FastifyInstance): Promise<void> {
  for (const [path, file] of files()) {
    const bytes = readFileSync(file);
    const etag = `"${createHash('sha256').update(bytes).digest('base64url').slice(0, 22)}"`;
    const type = TYPES[extname(file)] ?? 'application/octet-stream';
    app.get(path, { config, schema: { hide: true } }, async (request, reply) => {
      reply.headers({ ...HEADERS, etag }).type(type);
      const known = request.headers['if-none-match']?.split(/,\s*/) ?? [];
      const isKnown = known.some((each) => each.replace(/^W\//, '') === etag);
      return isKnown ? reply.code(304).send() : reply.send(bytes);
    });
  }
}

/** Path and file of everything that is served. */
function files(): [path: string, file: string][] {
  const { resolve } = createRequire(import.meta.url);
  const vendor = (name: string): string => join(resolve(name), '..', '..');
  const own = readdirSync(FOLDER).filter((name) => TYPES[extname(name)] !== undefined);
  return [
    ['/', join(FOLDER, 'index.html')],
    ...own.map((name): [string, string] => [`/dashboard/${name}`, join(FOLDER, name)]),
    ['/dashboard/vendor/xterm.mjs', join(vendor('@xterm/xterm'), 'lib', 'xterm.mjs')],
    ['/dashboard/vendor/xterm.css', join(vendor('@xterm/xterm'), 'css', 'xterm.css')],
    ['/dashboard/vendor/addon-fit.mjs', join(vendor('@xterm/addon-fit'), 'lib', 'addon-fit.mjs')],
  ];
}
