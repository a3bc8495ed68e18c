/** Networks: the virtual switches that interfaces are ports of. */

import { z } from 'zod';

const Port = z.int().min(1).max(65535);
const Traffic = z.strictObject({ frames: z.int(), bytes: z.int() });

export const NetworkInfo = z
  .strictObject({
    name: z.string().describe('What `bridge` of an interface says.'),
    gateway: z.string().optional().describe('Of the network that leads outside.'),
    ports: z.array(
      z.strictObject({
        name: z.string().describe('"vif3.0" is interface 0 of domain 3.'),
        sent: Traffic.describe('From its owner into the switch.'),
        received: Traffic.describe('From the switch to its owner.'),
        drops: z.record(z.string(), z.int()).describe('Frames that went no further, by reason.'),
      }),
    ),
    leases: z.array(
      z.strictObject({
        mac: z.string(),
        address: z.string(),
        state: z.string(),
        hostName: z.string().optional(),
      }),
    ),
  })
  .meta({ id: 'Network', description: 'A virtual switch.' });
export type NetworkInfo = z.infer<typeof NetworkInfo>;

export const NetworkList = z
  .strictObject({ networks: z.array(NetworkInfo) })
  .meta({ id: 'NetworkList', description: 'Networks.' });

export const NetworkName = z.strictObject({ name: z.string().min(1).max(64) });

export const ForwardCreate = z
  .strictObject({
    protocol: z.enum(['tcp', 'udp']).default('tcp'),
    hostPort: z.int().min(0).max(65535).default(0).describe('On 127.0.0.1; 0 is any free one.'),
    guestAddress: z.ipv4(),
    guestPort: Port,
  })
  .meta({ id: 'ForwardCreate', description: 'A port of the host that is to lead to a guest.' });
export type ForwardCreate = z.output<typeof ForwardCreate>;

export const Forward = z
  .strictObject({
    id: z.int(),
    protocol: z.enum(['tcp', 'udp']),
    hostAddress: z.string(),
    hostPort: Port,
    guestAddress: z.string(),
    guestPort: Port,
  })
  .meta({ id: 'Forward', description: 'A port of the host that leads to a guest.' });
export type Forward = z.infer<typeof Forward>;

export const ForwardList = z
  .strictObject({ forwards: z.array(Forward) })
  .meta({ id: 'ForwardList', description: 'Ports of the host that lead to guests.' });

export const ForwardId = z.strictObject({
  name: z.string().min(1).max(64),
  id: z.coerce.number().int().min(1),
});
