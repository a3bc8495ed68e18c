/** Tasks: what takes longer than a request, told of while it goes on and remembered for a while afterwards. */

import { z } from 'zod';
import { Problem } from './problem.js';

const TASK_STATES = ['running', 'succeeded', 'failed', 'cancelled'] as const;

export const TASK_KINDS = [
  'create-domain',
  'shutdown',
  'reboot',
  'dump-core',
  'save',
  'record',
] as const;
export type TaskKind = (typeof TASK_KINDS)[number];

export const Task = z
  .strictObject({
    id: z.string(),
    kind: z.enum(TASK_KINDS),
    state: z.enum(TASK_STATES),
    progress: z.number().min(0).max(1).describe('Share of the work that is done.'),
    step: z.string().describe('What it is doing, in words; at its end, what it did last.'),
    domain: z.string().optional().describe('UUID of the domain it concerns.'),
    result: z
      .record(z.string(), z.union([z.string(), z.number(), z.boolean()]))
      .optional()
      .describe('What came of it: the uuid and domid of a domain, the name of a core or image.'),
    problem: Problem.optional().describe('Why it failed.'),
    createdAt: z.iso.datetime(),
    endedAt: z.iso.datetime().optional(),
  })
  .meta({ id: 'Task', description: 'Work that goes on beyond the request that asked for it.' });
export type Task = z.infer<typeof Task>;

export const TaskList = z
  .strictObject({ tasks: z.array(Task) })
  .meta({ id: 'TaskList', description: 'Tasks, the newest first.' });

export const TaskId = z.strictObject({ id: z.string().min(1).max(64) });

export const PreferHeaders = z.looseObject({
  prefer: z
    .string()
    .max(256)
    .optional()
    .describe(
      'RFC 7240. "respond-async": answer 202 with a task at once. "wait" or "wait=<seconds>": wait for the end of the task and answer 200, or 202 if it takes longer. "Preference-Applied" says what was heeded.',
    ),
});
