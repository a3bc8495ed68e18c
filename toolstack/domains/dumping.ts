/** Making a core of a domain as a task. */

import type { DumpCoreRequest } from '../schemas/core.js';
import type { Task } from '../schemas/task.js';
import type { Domains } from './domains.js';
import type { Tasks } from './tasks.js';

/** Throws `no-such-domain`; what else goes wrong is the task's. */
export async function dumpAsTask(
  { domains, tasks }: { readonly domains: Domains; readonly tasks: Tasks },
  id: string,
  request: DumpCoreRequest,
  requestId: string,
): Promise<Task> {
  const { uuid: domain } = await domains.read(id);
  return tasks.start({
    kind: 'dump-core',
    domain,
    requestId,
    work: async (progress) => {
      const { name: core, bytes } = await domains.dumpCore(domain, request, progress);
      return { core, bytes };
    },
  });
}
