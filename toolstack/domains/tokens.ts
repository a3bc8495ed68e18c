/** Tokens: made, listed, revoked, and recognised. */

import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { NewToken, Token, TokenCreate } from '../schemas/token.js';
import type { Collection } from '../state/collection.js';
import type { StoredToken } from '../state/state.js';
import { CommandError } from './errors.js';

const ID_BYTES = 9;
const SECRET_BYTES = 32;
const MOST_TOKENS = 1000;
const MS = 1000;

type Listener = (id: string) => void;

export class Tokens {
  readonly #tokens: Collection<StoredToken>;
  readonly #listeners = new Set<Listener>();

  constructor(tokens: Collection<StoredToken>) {
    this.#tokens = tokens;
  }

  list(): Token[] {
    const all = this.#tokens.list().map(withoutHash);
    return all.sort((a, b) => a.createdAt.localeCompare(b.createdAt));
  }

  /** Whether somebody can make more of them. */
  get anyAdmin(): boolean {
    return this.#tokens.list().some((token) => token.scope === 'admin' && !hasExpired(token));
  }

  async create({ name, scope, expiresIn }: TokenCreate): Promise<NewToken> {
    const id = randomBytes(ID_BYTES).toString('base64url');
    const secret = randomBytes(SECRET_BYTES).toString('base64url');
    const now = Date.now();
    const token: Token = {
      id,
      name,
      scope,
      createdAt: new Date(now).toISOString(),
      ...(expiresIn !== undefined && { expiresAt: new Date(now + expiresIn * MS).toISOString() }),
    };
    await this.#tokens.change(id, () => {
      if (this.#tokens.size >= MOST_TOKENS) {
        throw new CommandError('too-many', `There are ${MOST_TOKENS} tokens; revoke some first.`);
      }
      return { ...token, hash: hashOf(secret).toString('hex') };
    });
    return { ...token, token: `${id}.${secret}` };
  }

  async revoke(id: string): Promise<void> {
    await this.#tokens.change(id, (present) => {
      if (present === undefined)
        throw new CommandError('no-such-token', `There is no token "${id}".`);
      return undefined;
    });
    for (const listener of this.#listeners) listener(id);
  }

  /** @returns the token that this is, unless it was revoked or has expired. How long it takes tells nothing of the secret. */
  recognise(text: string): Token | undefined {
    const dot = text.indexOf('.');
    const found = this.#tokens.get(text.slice(0, Math.max(dot, 0)));
    const given = hashOf(text.slice(dot + 1));
    const expected = found === undefined ? given : Buffer.from(found.hash, 'hex');
    const same = given.length === expected.length && timingSafeEqual(given, expected);
    return found !== undefined && same && !hasExpired(found) ? withoutHash(found) : undefined;
  }

  /** Whether a token that was recognised once still would be. */
  isValid(id: string): boolean {
    const token = this.#tokens.get(id);
    return token !== undefined && !hasExpired(token);
  }

  /** @returns how to stop. */
  onRevoked(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

/** The secret is random and long: a plain hash gives nothing away. */
const hashOf = (secret: string): Buffer => createHash('sha256').update(secret).digest();

const withoutHash = ({ hash: _hash, ...token }: StoredToken): Token => token;

const hasExpired = ({ expiresAt }: Token): boolean =>
  expiresAt !== undefined && Date.parse(expiresAt) <= Date.now();
