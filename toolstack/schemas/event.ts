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
    reason: z.enum(SHUTDOWN_REASONS).optional(),
    detail: z.string().optional(),
  })
  .meta({ id: 'DomainEvent', description: 'Something happened to a domain.' });
export type DomainEvent = z.infer<typeof DomainEvent>;
