/** The event stream: one numbered envelope. */

import { z } from 'zod';
import { DOMAIN_STATES, SHUTDOWN_REASONS } from './domain.js';
import { Task } from './task.js';

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
  'core-dumped',
  'device-attached',
  'device-connected',
  'device-closed',
  'device-failed',
  'device-detached',
] as const;

const envelope = {
  seq: z.int().describe('Counts up, by one unless the service has been restarted meanwhile.'),
  time: z.iso.datetime(),
};

export const DomainEvent = z
  .strictObject({
    ...envelope,
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

const TaskEvent = z
  .strictObject({ ...envelope, kind: z.literal('task'), task: Task })
  .meta({ id: 'TaskEvent', description: 'A task has begun, takes its next step, or has ended.' });
export type TaskEvent = z.infer<typeof TaskEvent>;

export type NumberedEvent = DomainEvent | TaskEvent;
