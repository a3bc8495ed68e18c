/** Saving a domain as a task, and restoring one. */

import type { Domain } from '../schemas/domain.js';
import type { RestoreRequest, SaveRequest } from '../schemas/save.js';
import type { Task } from '../schemas/task.js';
import type { Domains } from './domains.js';
import type { Saves } from './saves.js';
import type { Tasks } from './tasks.js';

interface SaveHost {
  readonly domains: Domains;
  readonly saves: Saves;
  readonly tasks: Tasks;
}

/** Throws `no-such-domain`; what else goes wrong is the task's. */
export async function saveAsTask(
  { domains, saves, tasks }: SaveHost,
  id: string,
  request: SaveRequest,
  requestId: string,
): Promise<Task> {
  const { uuid: domain } = await domains.read(id);
  return tasks.start({
    kind: 'save',
    domain,
    requestId,
    work: async (progress) => {
      const { name: save, bytes } = await domains.exclusively(domain, 'saved', (record) =>
        saves.save(record, request, progress),
      );
      if (request.afterwards === 'destroy') await domains.run({ kind: 'destroy', id: domain });
      return { save, bytes };
    },
  });
}

/** Throws `bad-save`, and what creating a domain throws. */
export async function restoreSaved(
  { domains, saves }: Pick<SaveHost, 'domains' | 'saves'>,
  name: string,
  { paused }: RestoreRequest,
): Promise<Domain> {
  return saves.restore(name, (config, build) =>
    domains.run({ kind: 'create', config: { ...config, paused }, build }),
  );
}
