/** Requests made of the schemas of /openapi.json, right and nearly right: none of them is a mistake of the service. */

import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestService, type TestService } from '../support/service.js';

/** Statuses that say "not now" or "no room", which a request may well meet. */
const DOCUMENTED_5XX = new Set([503, 504, 507]);
const METHODS = ['get', 'post', 'put', 'patch', 'delete'] as const;

/** Of an integer: a disk of so many bytes is downloaded again. */
const MOST = 2 ** 24;

interface Schema {
  readonly $ref?: string;
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly Schema[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly minimum?: number;
  readonly maximum?: number;
}

interface Operation {
  readonly parameters?: readonly { name: string; in: string; required?: boolean; schema: Schema }[];
  readonly requestBody?: { content: Record<string, { schema: Schema }> };
  readonly responses: Readonly<Record<string, unknown>>;
}

let service: TestService;
// biome-ignore lint/suspicious/noExplicitAny: the document as it comes
let document: any;
beforeAll(async () => {
  service = await startTestService({ memory: 128, rateLimit: 0 });
  document = (await service.request('GET', '/openapi.json')).json;
  await service.request('POST', '/v1/domains', { name: 'hello', kernel: 'hello', memory: 4 });
});
afterAll(() => service.close());

const NAMES = fc.constantFrom('hello', 'xenbr0', 'other', '0', '1', 'xvda', '');
const ODD = fc.oneof(fc.string(), fc.integer(), fc.constant(null), fc.constant([]), fc.object());

/** Values that fit a schema, mostly. */
function valuesOf(schema: Schema): fc.Arbitrary<unknown> {
  const fitting = fittingOf(schema);
  return fc.oneof({ weight: 12, arbitrary: fitting }, { weight: 1, arbitrary: ODD });
}

function fittingOf(schema: Schema): fc.Arbitrary<unknown> {
  const { $ref, anyOf, type, items } = schema;
  if ($ref !== undefined)
    return valuesOf(document.components.schemas[$ref.split('/').at(-1) ?? '']);
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum);
  if (anyOf !== undefined) return fc.oneof(...anyOf.map(valuesOf));
  if (type === 'boolean') return fc.boolean();
  if (type === 'array') return fc.array(items ? valuesOf(items) : ODD, { maxLength: 3 });
  if (type === 'object' && schema.properties) return objectOf(schema.properties, schema.required);
  const { minimum: min = -10, maximum: max = 2 ** 40 } = schema;
  if (type === 'integer')
    return fc.integer({ min: Math.max(min, -(2 ** 31)), max: Math.min(max, MOST) });
  if (type === 'number') return fc.double({ min, max: Math.min(max, 4), noNaN: true });
  return fc.oneof(NAMES, fc.string({ maxLength: 20 }));
}

const objectOf = (properties: Readonly<Record<string, Schema>>, required: readonly string[] = []) =>
  fc.record(
    Object.fromEntries(Object.entries(properties).map(([name, each]) => [name, valuesOf(each)])),
    { requiredKeys: [...required] },
  );

interface Asked {
  readonly path: string;
  readonly body: unknown;
}

function requestsOf(
  path: string,
  { parameters = [], requestBody }: Operation,
): fc.Arbitrary<Asked> {
  const schema = requestBody?.content['application/json']?.schema;
  const named = parameters.filter((each) => each.in !== 'header');
  return fc
    .record({
      values: fc.tuple(
        ...named.map((each) => (each.in === 'path' ? NAMES : valuesOf(each.schema))),
      ),
      present: fc.tuple(...named.map(() => fc.boolean())),
      body: schema === undefined ? fc.constant(undefined) : valuesOf(schema),
    })
    .map(({ values, present, body }) => {
      const query = new URLSearchParams();
      let filled = path;
      for (const [n, each] of named.entries()) {
        const text = String(typeof values[n] === 'object' ? JSON.stringify(values[n]) : values[n]);
        if (each.in === 'path') filled = filled.replace(`{${each.name}}`, encodeURIComponent(text));
        else if (present[n]) query.set(each.name, text.replaceAll('\ud800', ''));
      }
      return { path: `${filled}?${query}`, body };
    });
}

/** Streams have no end of their own, and a summary of the trace takes as long as it is asked to. */
const ENDLESS = /(events|capture|trace\/summary)$/;
/** What there is as a WebSocket only. */
const isSocket = ({ responses }: Operation): boolean => '426' in responses;

function operationsOf(): { method: string; path: string; operation: Operation }[] {
  return Object.entries<Record<string, Operation>>(document.paths).flatMap(([path, operations]) =>
    METHODS.flatMap((method) => {
      const operation = operations[method];
      if (operation === undefined || ENDLESS.test(path) || isSocket(operation)) return [];
      return [{ method, path, operation }];
    }),
  );
}

test('no request that the document suggests is answered with a mistake of ours', async () => {
  const bad: string[] = [];
  const statuses = new Map<number, number>();
  for (const { method, path, operation } of operationsOf()) {
    for (const asked of fc.sample(requestsOf(path, operation), 25)) {
      const body = method === 'get' ? undefined : asked.body;
      const { status, text } = await service.request(method.toUpperCase(), asked.path, body);
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
      if (status < 500 || DOCUMENTED_5XX.has(status)) continue;
      bad.push(`${method} ${asked.path} ${JSON.stringify(body)}: ${status} ${text}`);
    }
  }
  expect(bad).toEqual([]);
  // Requests that are refused and such that are not were among them.
  for (const status of [200, 204, 400, 404]) expect(statuses.get(status) ?? 0).toBeGreaterThan(10);
  expect((await service.request('GET', '/v1/host')).json.faults).toBe(0);
});
