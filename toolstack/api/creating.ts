/** The answer to whoever has a domain created: the domain, or the task that creates it, as the request prefers. */

import type { FastifyReply, FastifyRequest } from 'fastify';
import { createAsTask } from '../domains/creating.js';
import type { Services } from '../domains/services.js';
import type { Domain } from '../schemas/domain.js';
import type { Task } from '../schemas/task.js';
import { answerOf, preferences } from './prefer.js';

type Answer =
  | { readonly status: 201; readonly body: Domain }
  | { readonly status: 200 | 202; readonly body: Task };

export async function answerCreated(
  services: Services,
  create: () => Promise<Domain>,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<Answer> {
  if (preferences(request.headers['prefer']).respondAsync) {
    const begun = createAsTask(services, create, request.id);
    const { status, task } = await answerOf(services.tasks, begun, request, reply);
    return { status, body: task };
  }
  const domain = await create();
  reply.header('location', `/v1/domains/${domain.uuid}`);
  return { status: 201, body: domain };
}
