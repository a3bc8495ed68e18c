/**
 * `/openapi.json`, and `/docs` to read it. A WebSocket is in the document as the GET that it begins with: its query, 101, and in
 * `x-websocket` what is sent in either direction, by the schemas of the components.
 */

import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance } from 'fastify';
import { jsonSchemaTransform, jsonSchemaTransformObject } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { SocketMessages, SocketRoute } from './websockets.js';

interface Operation {
  readonly parameters?: readonly unknown[];
  readonly responses?: Readonly<Record<string, unknown>>;
}

type Paths = Record<string, { get?: Operation }>;

/** What the page at /docs may load: what is served here. It styles its elements one by one, and draws icons from within itself. */
const DOCS_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

export async function installOpenApi(
  app: FastifyInstance,
  sockets: readonly SocketRoute[],
): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Xenolith', version: '1', description: 'A Xen that needs no hardware.' },
      components: {
        securitySchemes: {
          bearer: {
            type: 'http',
            scheme: 'bearer',
            description:
              'A token of /v1/tokens. None is needed where the service listens on loopback only.',
          },
        },
      },
    },
    transform: jsonSchemaTransform,
    transformObject: (document) => {
      const whole = jsonSchemaTransformObject(document) as { paths: Paths };
      return { ...whole, paths: withSockets(whole.paths, sockets) } as never;
    },
  });
  await app.register(swaggerUi, { routePrefix: '/docs', staticCSP: DOCS_POLICY });
  app.get('/openapi.json', { schema: { hide: true } }, async () => app.swagger());
}

function withSockets(paths: Paths, sockets: readonly SocketRoute[]): Paths {
  const all = { ...paths };
  for (const socket of sockets) {
    const known = all[socket.url];
    all[socket.url] = { ...known, get: operationOf(socket, known?.get) };
  }
  return all;
}

/** @param known what the same GET does without an upgrade. */
function operationOf({ url, scope = 'viewer', documentation }: SocketRoute, known?: Operation) {
  const { tag, summary, query, server, client } = documentation;
  const own = [...pathParameters(url), ...queryParameters(query)];
  const { problems, missing } = refusalsOf(known);
  return {
    tags: [tag],
    summary,
    security: [{ bearer: [scope] }],
    ...known,
    parameters: known?.parameters === undefined ? own : merged(known.parameters, own),
    responses: {
      101: { description: 'The WebSocket.' },
      ...missing,
      ...problems,
      ...known?.responses,
    },
    'x-websocket': { summary, server: messages(server), client: messages(client) },
  };
}

const PROBLEM = {
  description: 'Refused.',
  content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
};

/** What a handshake is refused with; 426 to who asks without one where there is nothing but the WebSocket. */
const refusalsOf = (known: Operation | undefined) => ({
  problems: { 400: PROBLEM, 401: PROBLEM, 403: PROBLEM },
  missing: known === undefined ? { 426: PROBLEM } : {},
});

const pathParameters = (url: string) =>
  [...url.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }));

function queryParameters(query: z.ZodObject | undefined) {
  if (query === undefined) return [];
  const { properties = {}, required = [] } = z.toJSONSchema(query, { io: 'input' });
  return Object.entries(properties).map(([name, schema]) => ({
    name,
    in: 'query',
    required: required.includes(name),
    schema,
  }));
}

const nameOf = (parameter: unknown): string => {
  const { in: where, name } = parameter as { in: string; name: string };
  return `${where} ${name}`;
};

function merged(known: readonly unknown[], own: readonly unknown[]): unknown[] {
  const names = new Set(known.map(nameOf));
  return [...known, ...own.filter((parameter) => !names.has(nameOf(parameter)))];
}

function messages({ description, text = [], binary }: SocketMessages) {
  const schemas = text.map((schema) => ({
    $ref: `#/components/schemas/${z.globalRegistry.get(schema)?.id}`,
  }));
  return {
    description,
    ...(schemas.length > 0 && { text: schemas.length === 1 ? schemas[0] : { oneOf: schemas } }),
    ...(binary !== undefined && {
      binary: { type: 'string', format: 'binary', description: binary },
    }),
  };
}
