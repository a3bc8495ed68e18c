/** Creates the domains that are to be there as soon as the service is. What fails is told, and hinders nobody. */

import type { Definition } from '../schemas/definition.js';
import { asCommandError } from './refusals.js';

interface Startable {
  list(): Definition[];
  start(name: string): Promise<unknown>;
  tell(kind: 'autostart-failed', definition: Definition, detail: string): void;
}

export interface Autostarted {
  readonly started: number;
  readonly failed: number;
}

/**
 * One after the other, by name. Never rejects.
 * @param stopping whether the service is to stop: no more are begun then.
 * @param log hears what fails.
 */
export async function autostart(
  definitions: Startable,
  stopping: { readonly isStopping: boolean },
  log: (line: string) => void,
): Promise<Autostarted> {
  let [started, failed] = [0, 0];
  for (const definition of definitions.list().filter((each) => each.autostart)) {
    if (stopping.isStopping) break;
    const { name } = definition.config;
    try {
      await definitions.start(name);
      started += 1;
    } catch (error) {
      failed += 1;
      const refused = asCommandError(error);
      const detail = refused instanceof Error ? refused.message : String(refused);
      definitions.tell('autostart-failed', definition, detail);
      log(`autostart: the domain "${name}" could not be started: ${detail}`);
    }
  }
  return { started, failed };
}
