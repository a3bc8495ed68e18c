/** Building a domain as a task. */

import type { Domain } from '../schemas/domain.js';
import type { Task } from '../schemas/task.js';
import type { Domains } from './domains.js';
import type { Tasks } from './tasks.js';

export function createAsTask(
  { domains, tasks }: { readonly domains: Domains; readonly tasks: Tasks },
  create: () => Promise<Domain>,
  requestId: string,
): Task {
  return tasks.start({
    kind: 'create-domain',
    requestId,
    work: async ({ signal, step }) => {
      step('builds the domain');
      const { uuid, domid, name } = await create();
      if (signal.aborted) {
        await domains.run({ kind: 'destroy', id: uuid });
        signal.throwIfAborted();
      }
      return { uuid, domid, name };
    },
  });
}
