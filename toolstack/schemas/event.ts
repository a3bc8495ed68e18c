/** The event stream: one numbered envelope. */

import { z } from 'zod';
import { DOMAIN_STATES, SHUTDOWN_REASONS } from './domain.js';

const DOMAIN_EVENTS = [
  'created',
  'paused',
  'unpaused',
  'shutdown',
  'crashed',
  'destroyed',
  'restarted',
  'unresponsive',
  'changed',
  'device-attached',
  'device-connected',
  'device-closed',
  'device-failed',
  'device-detached',
] as const;

export const DomainEvent = z
  .strictObject({
    seq: z.int().describe('Counts from 1 without gaps.'),
    time: z.iso.datetime(),
    kind: z.enum(DOMAIN_EVENTS),
    domid: z.int(),
    uuid: z.string(),
    name: z.string(),
    state: z.enum(DOMAIN_STATES),
    device: z.string().optional().describe('The device it concerns: "vbd 51712 (xvda)", "vif 0".'),
    reason: z.enum(SHUTDOWN_REASONS).optional(),
    detail: z.string().optional(),
  })
  .meta({ id: 'DomainEvent', description: 'Something happened to a domain.' });
export type DomainEvent = z.infer<typeof DomainEvent>;
