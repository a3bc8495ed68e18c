/**
 * What writers have begun and what was acknowledged to them, and whether that is what is found after they were killed. A value that
 * was acknowledged must be there; one that was under way may be there instead; nothing else may, and nothing half.
 *
 *     begun KEY VALUE     a change is under way; null removes
 *     done KEY VALUE      ... and acknowledged
 *     event N             the number of the newest event
 */

export interface Found {
  /** By key: definitions as they are, images as SHA-256. */
  readonly values: ReadonlyMap<string, unknown>;
  /** Names of tokens, and whether what was told of one is still good. */
  readonly tokens: ReadonlySet<string>;
  isGood(token: string): boolean | Promise<boolean>;
}

/** Of a token that is there, and whose secret nobody has been told. */
const UNTOLD = '';

const isToken = (key: string): boolean => key.startsWith('token-');

export class Ledger {
  /** JSON of the values. */
  readonly #done = new Map<string, string>();
  readonly #begun = new Map<string, string>();
  readonly #mistakes: string[] = [];
  #lastEvent = 0;
  acknowledged = 0;

  get inFlight(): number {
    return this.#begun.size;
  }

  /** Takes a whole line. */
  hear(line: string): void {
    const [, word = '', key = '', value = ''] = /^(\w+) (\S+) ?(.*)$/.exec(line) ?? [];
    if (word === 'event') this.#hearEvent(Number(key));
    if (word === 'begun') this.#begun.set(key, value);
    if (word !== 'done') return;
    this.acknowledged += 1;
    this.#begun.delete(key);
    this.#done.set(key, value);
  }

  /** What is found is what counts from now on. @returns what should not be. */
  async check(found: Found): Promise<string[]> {
    const mistakes = this.#mistakes.splice(0);
    for (const key of new Set([...this.#done.keys(), ...this.#begun.keys()])) {
      const wrong = isToken(key)
        ? await this.#checkToken(key, found)
        : this.#checkValue(key, found);
      if (wrong !== undefined) mistakes.push(wrong);
    }
    for (const key of [...found.values.keys(), ...found.tokens]) {
      if (!this.#done.has(key)) mistakes.push(`${key} is there, and nobody has begun it`);
    }
    this.#begun.clear();
    return mistakes;
  }

  #hearEvent(number: number): void {
    if (number <= this.#lastEvent) {
      this.#mistakes.push(`event ${number} comes after event ${this.#lastEvent}`);
    }
    this.#lastEvent = Math.max(number, this.#lastEvent);
  }

  #checkValue(key: string, { values }: Found): string | undefined {
    const now = JSON.stringify(values.get(key) ?? null);
    const [done = 'null', begun = done] = [this.#done.get(key), this.#begun.get(key)];
    this.#done.set(key, now);
    if (now === done || now === begun) return undefined;
    return `${key} is ${now}; acknowledged was ${done}, under way ${begun}`;
  }

  async #checkToken(key: string, { tokens, isGood }: Found): Promise<string | undefined> {
    const [isThere, isUnderWay] = [tokens.has(key), this.#begun.has(key)];
    const told = JSON.parse(this.#done.get(key) ?? 'null') as string | null;
    this.#done.set(key, isThere ? JSON.stringify(told ?? UNTOLD) : 'null');
    if (isThere !== (told !== null) && !isUnderWay) {
      return `${key} is ${isThere ? 'there' : 'not there'}, and was acknowledged otherwise`;
    }
    if (!isThere || told === null || told === UNTOLD) return undefined;
    if (await isGood(told)) return undefined;
    return `${key} is there, and what was told of it is not good`;
  }
}
