/**
 * From xl's settings to the request that creates a domain. Settings that a PV domain here cannot honour are refused by name,
 * unknown ones are said and left out. Spec: xl.cfg(5).
 */

import type { DomainCreateInput } from '../schemas/domain.js';
import { UserError } from './client.js';
import { KEYS } from './config-keys.js';
import type { Context, Draft } from './config-setters.js';
import type { Settings } from './config-text.js';

/** @param warn hears what is left out. @throws UserError if it is refused, or what every domain needs is missing. */
export function requestOf(settings: Settings, warn: (text: string) => void): DomainCreateInput {
  const { name, kernel, ...rest } = changesOf(settings, warn);
  if (name === undefined) throw new UserError('the domain needs a name: name="..."');
  if (kernel === undefined) {
    throw new UserError('the domain needs a kernel: kernel="..." or firmware="pvgrub64"');
  }
  return { ...rest, name, kernel };
}

/** As much of a request as the settings say. @throws UserError if it is refused. */
function changesOf(settings: Settings, warn: (text: string) => void): Draft {
  const draft: Draft = {};
  const context: Context = { draft, settings, warn };
  for (const [key, setting] of settings) {
    const setter = Object.hasOwn(KEYS, key) ? KEYS[key] : undefined;
    if (setter === undefined) warn(`${setting.where}: unknown key "${key}" is ignored`);
    else setter(context, setting, key);
  }
  return draft;
}
