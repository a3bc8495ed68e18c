/** The token resource: who may use the API of a service that others can reach, and how far. */

import { z } from 'zod';

/** Each may do what those before it may. */
export const SCOPES = ['viewer', 'operator', 'admin'] as const;
export type Scope = (typeof SCOPES)[number];

const Scope = z
  .enum(SCOPES)
  .describe(
    'A viewer reads, an operator changes domains and what they need, an admin does everything.',
  );

const LONGEST_LIFE_S = 10 * 366 * 24 * 3600;

export const TokenCreate = z
  .strictObject({
    name: z
      .string()
      .min(1)
      .max(64)
      .regex(/^[^\p{C}]*$/u, 'no control characters')
      .describe('What it is for; not unique.'),
    scope: Scope.default('viewer'),
    expiresIn: z
      .int()
      .min(1)
      .max(LONGEST_LIFE_S)
      .optional()
      .describe('Seconds until it ends of itself; never if left out.'),
  })
  .meta({ id: 'TokenCreate', description: 'A token to be made.' });
export type TokenCreate = z.output<typeof TokenCreate>;

export const Token = z
  .strictObject({
    id: z.string().describe('Names the token; no secret.'),
    name: z.string(),
    scope: Scope,
    createdAt: z.iso.datetime(),
    expiresAt: z.iso.datetime().optional(),
  })
  .meta({ id: 'Token', description: 'A token, without its secret.' });
export type Token = z.infer<typeof Token>;

export const NewToken = Token.extend({
  token: z
    .string()
    .describe('What goes into "Authorization: Bearer …". It is told this once and kept nowhere.'),
}).meta({ id: 'NewToken', description: 'A token that has just been made.' });
export type NewToken = z.infer<typeof NewToken>;

export const TokenList = z
  .strictObject({ tokens: z.array(Token) })
  .meta({ id: 'TokenList', description: 'Tokens, oldest first.' });
export type TokenList = z.infer<typeof TokenList>;

export const TokenId = z.strictObject({
  id: z.string().min(1).max(64).describe('Id of a token.'),
});
