/** Prefer (RFC 7240): whether a task is answered with at once, or waited for. */

import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Tasks } from '../domains/tasks.js';
import type { Task } from '../schemas/task.js';

/** The longest that a request waits for a task, seconds. */
const LONGEST_WAIT = 3600;

interface Preferences {
  readonly respondAsync: boolean;
  /** Seconds, undefined if it is not to be waited. */
  readonly wait: number | undefined;
}

/** What is not understood is passed over, as the RFC wants it. */
export function preferences(header: string | string[] | undefined): Preferences {
  const wishes = [header ?? []].flat().join(',').toLowerCase().split(',');
  const named = new Map(wishes.map((wish) => splitWish(wish)));
  const wait = named.get('wait');
  const seconds = wait === '' ? LONGEST_WAIT : Number(wait);
  return {
    respondAsync: named.has('respond-async'),
    wait: seconds >= 0 ? Math.min(seconds, LONGEST_WAIT) : undefined,
  };
}

function splitWish(wish: string): [string, string] {
  const [name = '', value = ''] = wish.split(';', 1)[0]?.split('=') ?? [];
  return [name.trim(), value.trim().replaceAll('"', '')];
}

/** @returns the task and the status to answer with, after waiting for it if that is preferred. */
export async function answerOf(
  tasks: Tasks,
  task: Task,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<{ status: 200 | 202; task: Task }> {
  const { wait, respondAsync } = preferences(request.headers['prefer']);
  reply.header('location', `/v1/tasks/${task.id}`);
  reply.header('vary', 'prefer');
  if (wait === undefined) {
    if (respondAsync) reply.header('preference-applied', 'respond-async');
    return { status: 202, task };
  }
  reply.header('preference-applied', `wait=${wait}`);
  const latest = await tasks.ended(task.id, wait * 1000);
  return { status: latest.state === 'running' ? 202 : 200, task: latest };
}
