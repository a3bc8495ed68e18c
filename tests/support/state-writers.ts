/** Writers that change what a service remembers, without end, and say what they do in the words of a ledger. */

import { createHash } from 'node:crypto';
import { Definition } from '../../toolstack/schemas/definition.js';
import { numbersFrom } from './random-numbers.js';

/** Writers of each kind, each with keys of its own. */
const WRITERS = 3;
const IMAGE_BYTES = 200_000;

/** Where they write: to the service by HTTP, or to its parts. Each resolves when it is acknowledged. */
export interface Target {
  put(name: string, definition: Definition): Promise<unknown>;
  change(name: string, change: { config: { vcpus: number }; autostart: boolean }): Promise<unknown>;
  undefine(name: string): Promise<unknown>;
  createToken(name: string): Promise<{ id: string; token: string }>;
  revoke(id: string): Promise<unknown>;
  save(name: string, bytes: Uint8Array<ArrayBuffer>, sha256: string): Promise<unknown>;
  remove(name: string): Promise<unknown>;
}

type Say = (line: string) => void;

/** @param generation makes keys of tokens that there have not been. Resolves with the error that ends a writer. */
export function startWriters(
  target: Target,
  say: Say,
  seed: number,
  generation: string | number,
): Promise<unknown> {
  const random = numbersFrom(seed);
  const all = Array.from({ length: WRITERS }, (_, n) => [
    writeDefinitions(target, say, n, random),
    writeTokens(target, say, `${generation}-${n}`, random),
    writeImages(target, say, n, random),
  ]).flat();
  return Promise.race(all).catch((error: unknown) => error);
}

async function told(say: Say, key: string, value: unknown, change: () => Promise<unknown>) {
  const json = JSON.stringify(value);
  say(`begun ${key} ${json}`);
  await change();
  say(`done ${key} ${json}`);
}

/** PUT, PATCH and DELETE of one definition. Its kernel is none: no domain is started. */
async function writeDefinitions(target: Target, say: Say, n: number, random: () => number) {
  const name = `definition-${n}`;
  const uuid = `00000000-0000-4000-8000-00000000000${n}`;
  for (;;) {
    const memory = 1 + Math.floor(random() * 1000);
    const cmdline = 'x'.repeat(Math.floor(random() * 1000));
    const config = { name, uuid, kernel: 'none', memory, cmdline };
    const put = Definition.parse({ config });
    await told(say, name, put, () => target.put(name, put));
    const change = { config: { vcpus: 2 }, autostart: true };
    const changed = Definition.parse({ config: { ...config, vcpus: 2 }, autostart: true });
    await told(say, name, changed, () => target.change(name, change));
    if (random() < 0.3) await told(say, name, null, () => target.undefine(name));
  }
}

async function writeTokens(target: Target, say: Say, key: string, random: () => number) {
  for (let round = 1; ; round += 1) {
    const name = `token-${key}-${round}`;
    say(`begun ${name} null`); // its secret is told when it is there
    const { token, id } = await target.createToken(name);
    say(`done ${name} ${JSON.stringify(token)}`);
    if (random() < 0.9) await told(say, name, null, () => target.revoke(id));
  }
}

async function writeImages(target: Target, say: Say, n: number, random: () => number) {
  const name = `image-${n}`;
  for (;;) {
    const bytes = new Uint8Array(1 + Math.floor(random() * IMAGE_BYTES));
    bytes.fill(Math.floor(random() * 256));
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    await told(say, name, sha256, () => target.save(name, bytes, sha256));
    if (random() < 0.2) await told(say, name, null, () => target.remove(name));
  }
}
