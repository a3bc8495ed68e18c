/** The host resource: figures of the machine and of the hypervisor. */

import { z } from 'zod';

export const Host = z
  .strictObject({
    product: z.string().describe('Name and version of the service.'),
    xenVersion: z.string().describe('The version that guests are told.'),
    node: z.string().describe('Version of Node.'),
    uptimeSeconds: z.number(),
    memory: z.strictObject({
      totalFrames: z.int().describe('4 KiB host frames for guests.'),
      freeFrames: z.int(),
    }),
    domains: z.int().describe('Domains that exist, domain 0 not counted.'),
    vcpus: z.int().describe('vCPUs online in all domains.'),
    instructions: z.int().describe('Guest instructions retired since the start.'),
    idleSeconds: z.number().describe('Time with nothing to run.'),
    hypercalls: z
      .strictObject({
        total: z.int(),
        byName: z.record(z.string(), z.int()).describe('Only those that were called.'),
        missing: z.record(z.string(), z.int()).describe('Calls answered with -ENOSYS.'),
      })
      .describe('Hypercalls of the domains that exist.'),
    faults: z
      .int()
      .describe('Exceptions that escaped inside the hypervisor: each one is a bug of ours.'),
    process: z.strictObject({
      residentBytes: z.int().describe('Memory of the process, guest memory included.'),
      heapBytes: z.int().describe('JavaScript heap of the main thread.'),
      cpuSeconds: z.number(),
    }),
  })
  .meta({ id: 'Host', description: 'The host.' });
export type Host = z.infer<typeof Host>;
