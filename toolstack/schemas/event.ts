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

const DEFINITION_EVENTS = ['defined', 'redefined', 'undefined', 'autostart-failed'] as const;

const EVENT_KINDS = [...DOMAIN_EVENTS, ...DEFINITION_EVENTS, 'task'] as const;

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

const DefinitionEvent = z
  .strictObject({
    ...envelope,
    kind: z.enum(DEFINITION_EVENTS),
    name: z.string(),
    uuid: z.string().describe('Handle that its domain has.'),
    autostart: z.boolean(),
    detail: z.string().optional().describe('Why its domain could not be started.'),
  })
  .meta({
    id: 'DefinitionEvent',
    description: 'A definition was made, changed or removed, or its domain could not be started.',
  });
export type DefinitionEvent = z.infer<typeof DefinitionEvent>;

const TaskEvent = z
  .strictObject({ ...envelope, kind: z.literal('task'), task: Task })
  .meta({ id: 'TaskEvent', description: 'A task has begun, takes its next step, or has ended.' });
export type TaskEvent = z.infer<typeof TaskEvent>;

export type NumberedEvent = DomainEvent | DefinitionEvent | TaskEvent;
const GapEvent = z
  .strictObject({
    kind: z.literal('gap'),
    from: z.int().describe('Number of the first event that is missing.'),
    to: z.int().describe('Number of the last one; what comes next has a higher number.'),
    reason: z
      .enum(['expired', 'restart', 'unknown'])
      .describe(
        'expired: no longer kept. restart: they came before the service was started. unknown: no such number has been given out.',
      ),
  })
  .meta({ id: 'GapEvent', description: 'Events that this reader can no longer have.' });
export type GapEvent = z.infer<typeof GapEvent>;

export const Event = z
  .discriminatedUnion('kind', [DomainEvent, DefinitionEvent, TaskEvent, GapEvent])
  .meta({ id: 'Event', description: 'One envelope of the event stream.' });
export type Event = z.infer<typeof Event>;

const kindList = z
  .string()
  .max(512)
  .transform((text) => text.split(','))
  .pipe(z.array(z.enum(EVENT_KINDS)));

export const EventQuery = z.strictObject({
  since: z.coerce
    .number()
    .int()
    .min(0)
    .optional()
    .describe('Number of the last event seen: those after it come first, or a gap.'),
  domain: z.string().min(1).max(64).optional().describe('Only this one: domid, name or uuid.'),
  kind: kindList.optional().describe('Only these kinds, separated by commas.'),
});

export const EventStreamHeaders = z.looseObject({
  'last-event-id': z
    .string()
    .regex(/^\d{1,15}$/, 'the number of an event')
    .optional()
    .describe('As ?since; what a browser sends when it connects again.'),
});
