/**
 * A process of its own that writes to the parts of the service that remember, and says what it does: to be killed.
 *
 *     ready                      said: it is loaded
 *     go FOLDER SEED [early]     read: begin; "early": acknowledge before anything is written, as what must be found out does
 */

import { createInterface } from 'node:readline';
import { setImmediate } from 'node:timers/promises';
import type { Collection } from '../../toolstack/state/collection.js';
import { openParts } from './state-parts.js';
import { startWriters } from './state-writers.js';

/** How long after its answer a write is begun that was acknowledged early, milliseconds. */
const LATE_MS = 50;

const say = (line: string): void => void process.stdout.write(`${line}\n`);

createInterface(process.stdin).once('line', (line) => {
  const [, folder = '', seed, early] = line.split(' ');
  void write(folder, Number(seed), early !== undefined);
});
say('ready');

async function write(folder: string, seed: number, early: boolean): Promise<void> {
  const { state, events, definitions, tokens, images } = await openParts(folder);
  if (early) answerEarly(state.definitions);
  events.subscribe(({ seq }) => say(`event ${seq}`));
  const target = {
    put: definitions.put.bind(definitions),
    change: definitions.change.bind(definitions),
    undefine: (name: string) => definitions.delete(name),
    createToken: (name: string) => tokens.create({ name, scope: 'viewer' }),
    revoke: tokens.revoke.bind(tokens),
    save: images.save.bind(images),
    remove: images.delete.bind(images),
  };
  const error = await startWriters(target, say, seed, process.pid);
  if (!early) throw error;
}

function answerEarly<Value>(collection: Collection<Value>): void {
  const write = collection.change.bind(collection);
  const newest = new Map<string, Value | undefined>();
  collection.change = async (key, step) => {
    const next = step(newest.has(key) ? newest.get(key) : collection.get(key));
    newest.set(key, next);
    setTimeout(() => void write(key, () => next), LATE_MS);
    await setImmediate(); // the others have their turn, too
    return next;
  };
}
