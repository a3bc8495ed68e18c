/** Asking a domain to stop or reboot as a task: it ends when the kernel has done so, or has not taken notice. */

import type { ShutdownRequest } from '../schemas/domain.js';
import type { DomainEvent } from '../schemas/event.js';
import type { Task } from '../schemas/task.js';
import type { Domains } from './domains.js';
import { CommandError } from './errors.js';
import type { EventLog } from './event-log.js';
import type { Progress, Tasks } from './tasks.js';

export interface StopHost {
  readonly domains: Domains;
  readonly events: EventLog;
  readonly tasks: Tasks;
}

export interface StopCommand {
  readonly kind: 'shutdown' | 'reboot';
  readonly id: string;
  readonly request: ShutdownRequest;
  readonly requestId: string;
}

/** What a domain does that has stopped, or that does not listen. */
const ENDS: ReadonlySet<DomainEvent['kind']> = new Set([
  'shutdown',
  'crashed',
  'destroyed',
  'unresponsive',
]);

/** Throws what the request is refused with; what happens later is the task's. */
export async function stopDomain(host: StopHost, command: StopCommand): Promise<Task> {
  const { domains, events, tasks } = host;
  const { kind, id, request, requestId } = command;
  const { domid } = await domains.read(id);
  const end = endOf(events, domid);
  try {
    const { uuid: domain } = await domains.run({ kind, id: String(domid), request });
    return tasks.start({
      kind,
      domain,
      requestId,
      work: async (progress) => {
        progress.step(request.force ? 'stopped by force' : 'asked its kernel');
        return { domid, ...(await end.within(progress)) };
      },
    });
  } catch (error) {
    end.stop();
    throw error;
  }
}

function endOf(events: EventLog, domid: number) {
  const abort = new AbortController();
  const seen = new Promise<DomainEvent>((resolve) => {
    const stop = events.subscribe((event) => {
      if (!('domid' in event) || event.domid !== domid || !ENDS.has(event.kind)) return;
      stop();
      resolve(event);
    });
    abort.signal.addEventListener('abort', stop);
  });
  const within = async ({ signal }: Progress): Promise<{ reason: string }> => {
    const cancelled = new Promise<undefined>((resolve) => {
      signal.addEventListener('abort', () => resolve(undefined));
    });
    const event = await Promise.race([seen, cancelled]);
    abort.abort();
    if (event === undefined) throw new Error('no longer waited for');
    if (event.kind === 'unresponsive') {
      throw new CommandError('unresponsive', event.detail ?? 'The kernel does not answer.');
    }
    return { reason: event.reason ?? event.kind };
  };
  return { within, stop: () => abort.abort() };
}
