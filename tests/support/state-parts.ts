/** The parts of the service that remember, put together as the service does, without the rest of it. */

import { join } from 'node:path';
import { Definitions } from '../../toolstack/domains/definitions.js';
import { EventLog } from '../../toolstack/domains/event-log.js';
import { ImageFacts } from '../../toolstack/domains/image-facts.js';
import { Images } from '../../toolstack/domains/images.js';
import { Tokens } from '../../toolstack/domains/tokens.js';
import { openState } from '../../toolstack/state/state.js';

const nobody = async (): Promise<never> => {
  throw new Error('there are no domains');
};

/** @param folder holds all that they keep. */
export async function openParts(folder: string) {
  const state = await openState(join(folder, 'state'), (line) => {
    throw new Error(line);
  });
  const events = new EventLog(state.eventNumbers);
  const folders = {
    images: join(folder, 'nothing'),
    uploads: join(folder, 'images'),
    cache: join(folder, 'cache'),
    unpackedLimit: 0,
    cacheLimit: 0,
  };
  const images = new Images(folders, new ImageFacts(state.imageFacts));
  await images.sweep();
  return {
    state,
    events,
    definitions: new Definitions(state.definitions, { run: nobody, read: nobody }, events),
    tokens: new Tokens(state.tokens),
    images,
  };
}
