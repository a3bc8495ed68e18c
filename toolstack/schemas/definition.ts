/** Definitions: domains that the service remembers whether they run or not, and may start of itself. */

import { z } from 'zod';
import { DomainCreate } from './domain.js';

const autostart = z.boolean().describe('Whether its domain is created when the service comes up.');

export const Definition = z
  .strictObject({
    config: DomainCreate.describe(
      'What its domain is created from. A uuid that is left out is chosen once and kept.',
    ),
    autostart: autostart.default(false),
  })
  .meta({ id: 'Definition', description: 'A domain that is remembered, whether it runs or not.' });
export type Definition = z.output<typeof Definition>;

/** A field of a merge patch: left out it stays, null takes it back to its default, or away. */
function patched(field: z.ZodType): z.ZodType {
  const bare =
    field instanceof z.ZodDefault || field instanceof z.ZodOptional ? field.unwrap() : field;
  const patch = z.nullable(bare as z.ZodType).optional();
  return field.description === undefined ? patch : patch.describe(field.description);
}

const ConfigChange = z.strictObject(
  Object.fromEntries(Object.entries(DomainCreate.shape).map(([key, f]) => [key, patched(f)])),
);

export const DefinitionChange = z
  .strictObject({
    config: ConfigChange.optional().describe('Fields that are to be different; null unsets one.'),
    autostart: autostart.optional(),
  })
  .refine((change) => Object.values(change).some((value) => value !== undefined), {
    message: 'nothing is to be changed',
  })
  .meta({
    id: 'DefinitionChange',
    description: 'A merge patch (RFC 7396): what is to be different; the rest stays.',
  });
export type DefinitionChange = z.output<typeof DefinitionChange>;

export const DefinitionList = z
  .strictObject({ definitions: z.array(Definition) })
  .meta({ id: 'DefinitionList', description: 'Definitions by name.' });

export const DefinitionName = z.strictObject({
  name: z.string().min(1).max(64).describe('Name of its domain.'),
});

const tags = z.string().max(1024).optional();

export const DefinitionConditions = z.looseObject({
  'if-match': tags.describe(
    'The ETag of GET: 412 if the definition has been changed meanwhile. May be left out: then the last one to ask wins.',
  ),
  'if-none-match': tags.describe('"*": 412 if there is one by that name already.'),
});
