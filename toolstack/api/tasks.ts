/** `/v1/tasks`: work that goes on beyond its request: seen, waited for, cancelled, forgotten. */

import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import type { Services } from '../domains/services.js';
import { PreferHeaders, Task, TaskId, TaskList } from '../schemas/task.js';
import { answerOf } from './prefer.js';
import { none, refusals } from './responses.js';

const tags = ['tasks'];
const params = TaskId;

export const taskRoutes =
  ({ tasks }: Services): FastifyPluginAsyncZod =>
  async (app) => {
    app.get(
      '/v1/tasks',
      { schema: { tags, summary: 'List tasks', response: { 200: TaskList } } },
      async () => ({ tasks: tasks.list() }),
    );
    app.get(
      '/v1/tasks/:id',
      {
        schema: {
          tags,
          summary: 'Read a task; with Prefer: wait, once it has ended',
          params,
          headers: PreferHeaders,
          response: { 200: Task, ...refusals(404) },
        },
      },
      async (request, reply) => {
        const task = tasks.read(request.params.id);
        return (await answerOf(tasks, task, request, reply)).task;
      },
    );
    app.delete(
      '/v1/tasks/:id',
      {
        schema: {
          tags,
          summary: 'Cancel a task that is running, or forget one that has ended',
          params,
          response: { 202: Task, 204: none, ...refusals(404) },
        },
      },
      async (request, reply) => {
        const running = tasks.cancel(request.params.id);
        if (running === undefined) return reply.code(204).send(undefined);
        return reply.code(202).send(running);
      },
    );
  };
