/** What disks and network interfaces have in common: two ends that find each other over XenStore. */

import { z } from 'zod';

export const DEVICE_STATES = [
  'unknown',
  'initialising',
  'init-wait',
  'initialised',
  'connected',
  'closing',
  'closed',
  'reconfiguring',
  'reconfigured',
] as const;
export type DeviceState = (typeof DEVICE_STATES)[number];

export const DeviceFigures = z.strictObject({
  state: z.enum(DEVICE_STATES).describe("Xenbus state of the service's end."),
  frontendState: z.enum(DEVICE_STATES).describe("Xenbus state of the guest's end, as it says."),
  counters: z.record(z.string(), z.number()).describe('Counted since it was attached.'),
  negotiated: z
    .record(z.string(), z.union([z.string(), z.number(), z.boolean()]))
    .describe('What the two ends have agreed on.'),
});
export type DeviceFigures = z.infer<typeof DeviceFigures>;

export const DetachQuery = z.strictObject({
  force: z
    .stringbool()
    .default(false)
    .describe('Take it away at once, without asking the guest to let go.'),
});
