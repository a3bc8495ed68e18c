/** The XenStore resource: nodes, snapshots, and what the inspector shows. */

import { z } from 'zod';

const Permission = z
  .string()
  .regex(/^[nrwb]\d{1,5}$/, 'n, r, w or b and a domid')
  .describe('Access of a domain: n none, r read, w write, b both; the first names the owner.');

export const StoreNode = z
  .strictObject({
    path: z.string(),
    name: z.string(),
    value: z.string(),
    permissions: z.array(Permission),
    generation: z.int().describe('Grows with each change.'),
    get children() {
      return z.array(StoreNode).optional().describe('Absent below the depth asked for.');
    },
  })
  .meta({ id: 'StoreNode', description: 'A node of XenStore and what is below it.' });
export type StoreNode = z.infer<typeof StoreNode>;

export const StoreWrite = z
  .strictObject({
    value: z.string().max(4096).optional().describe('The new value; left as it is if absent.'),
    permissions: z.array(Permission).min(1).optional(),
  })
  .meta({ id: 'StoreWrite', description: 'A change of a node; it is made if it is missing.' });
export type StoreWrite = z.infer<typeof StoreWrite>;

export const StoreDepth = z.strictObject({
  depth: z.coerce.number().int().min(0).max(256).optional().describe('Levels below the node.'),
});

export const StoreWatch = z.strictObject({
  path: z.string().default('/').describe('The node watched, with all below it.'),
  depth: z.coerce.number().int().min(0).optional().describe('Levels below it that count.'),
});

export const StoreChange = z
  .strictObject({ path: z.string().describe('The node that was written, made or removed.') })
  .meta({ id: 'StoreChange', description: 'A node has changed; the watched one comes first.' });

export const StoreRequest = z
  .strictObject({
    serial: z.int(),
    at: z.number().describe('Milliseconds since the epoch.'),
    connection: z.int(),
    domid: z.int(),
    type: z.string().describe('Name of the message, or its number if it has none.'),
    transaction: z.int(),
    body: z.string().describe('First bytes of the payload, strings separated by spaces.'),
    result: z.string().describe('OK, or the name of the error.'),
  })
  .meta({ id: 'StoreRequest', description: 'A request to XenStore that was answered.' });

const Json = z.record(z.string(), z.unknown());

export const StoreInspection = z
  .strictObject({
    store: z.strictObject({ nodes: z.int(), features: z.int() }),
    connections: z.array(Json).describe('With watches, open transactions, their age and nodes.'),
    watches: z.int(),
    domains: z.array(Json).describe('With quotas: used and limit.'),
    conflicts: z.array(Json).describe('Commits refused, with who was to blame.'),
    requests: z.array(Json).describe('The last requests.'),
  })
  .meta({ id: 'StoreInspection', description: 'What XenStore is doing.' });
