/** Building a domain as a task. */

import type { DomainCreate } from '../schemas/domain.js';
import type { Task } from '../schemas/task.js';
import type { Domains } from './domains.js';
import type { Tasks } from './tasks.js';

export function createAsTask(
  { domains, tasks }: { readonly domains: Domains; readonly tasks: Tasks },
  config: DomainCreate,
  requestId: string,
): Task {
  return tasks.start({
    kind: 'create-domain',
    requestId,
    work: async ({ signal, step }) => {
      step('builds the domain');
      const { uuid, domid, name } = await domains.run({ kind: 'create', config });
      if (signal.aborted) {
        await domains.run({ kind: 'destroy', id: uuid });
        signal.throwIfAborted();
      }
      return { uuid, domid, name };
    },
  });
}
