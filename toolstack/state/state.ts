/** What the service remembers when it is started again, in an embedded store. Each acknowledged write is on disk. */

import { mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Database, open, type RootDatabase } from 'lmdb';
import { z } from 'zod';
import { Definition } from '../schemas/definition.js';
import { Image } from '../schemas/image.js';
import { Token } from '../schemas/token.js';
import { Collection } from './collection.js';
import { syncFolder } from './durable-files.js';
import { EventNumbers, type Reservation } from './event-numbers.js';
import { holdFolder } from './hold.js';
import { checkStoreFile } from './store-file.js';

/** Layout of the store. A store of a later layout is not touched. */
const FORMAT = 1;

/** Databases within the store, with room for more. */
const MOST_DATABASES = 16;

/** A token as it is kept: its secret only as a hash. */
export const StoredToken = Token.extend({ hash: z.string() });
export type StoredToken = z.infer<typeof StoredToken>;

/** What was found out of an image file, for as long as its stamp is the same. */
const StoredImageFacts = Image.pick({ bytes: true, sha256: true, kind: true }).extend({
  path: z.string(),
  stamp: z.string(),
});
export type StoredImageFacts = z.infer<typeof StoredImageFacts>;

export interface State {
  readonly tokens: Collection<StoredToken>;
  /** By name. */
  readonly definitions: Collection<Definition>;
  readonly imageFacts: Collection<StoredImageFacts>;
  readonly eventNumbers: EventNumbers;
  /** Resolves when everything is on disk and the folder is free for another service. */
  close(): Promise<void>;
}

/**
 * @param folder that it is kept in, made if it is not there; undefined for one that ends with the service.
 * @param log hears of what cannot be understood.
 * Throws if another service has the folder, or if it is of a later version.
 */
export async function openState(
  folder: string | undefined,
  log: (line: string) => void,
): Promise<State> {
  const path = ownFolder(folder);
  const closing = [await holdFolder(path)];
  const close = async (): Promise<void> => {
    for (const step of closing.toReversed()) await step();
    if (folder === undefined) rmSync(path, { recursive: true, force: true });
  };
  try {
    const root = openStore(path, folder !== undefined);
    closing.push(() => root.close());
    checkFormat(root, path);
    const database = (name: string): Database<unknown, string> =>
      root.openDB({ name, encoding: 'json' });
    const tokens = new Collection(database('tokens'), StoredToken, log);
    const definitions = new Collection(database('definitions'), Definition, log);
    const imageFacts = new Collection(database('image-facts'), StoredImageFacts, log);
    const eventNumbers = new EventNumbers(reservationIn(root));
    closing.push(async () => eventNumbers.close());
    for (const { settled } of [tokens, definitions, imageFacts]) closing.push(settled);
    await syncFolder(path);
    return { tokens, definitions, imageFacts, eventNumbers, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** @param durable whether what is written is to be on disk when it is acknowledged. */
function openStore(path: string, durable: boolean): RootDatabase<unknown, string> {
  checkStoreFile(path);
  return open({
    path,
    encoding: 'json',
    maxDbs: MOST_DATABASES,
    overlappingSync: false,
    noSync: !durable,
  });
}

/** @returns its real path. Nobody else may look into it. */
function ownFolder(folder: string | undefined): string {
  if (folder === undefined) return realpathSync(mkdtempSync(join(tmpdir(), 'xenolith-state-')));
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  return realpathSync(folder);
}

function checkFormat(root: RootDatabase<unknown, string>, path: string): void {
  const format = z.int().default(FORMAT).parse(root.get('format'));
  if (format > FORMAT) {
    throw new Error(`The state in ${path} is of format ${format}; this version knows ${FORMAT}.`);
  }
  root.putSync('format', FORMAT);
}

function reservationIn(root: RootDatabase<unknown, string>): Reservation {
  const read = (): number => z.int().min(0).default(0).parse(root.get('events'));
  const write = (number: number): void => void root.putSync('events', number);
  const raise = (number: number): Promise<void> =>
    root.transaction(() => {
      if (read() < number) void root.put('events', number);
    });
  return { read, write, raise };
}
