/**
 * xl as its users type it: the transcripts of `transcripts/*.txt`, one session each, against one service with real guests. Each verb
 * is run as a program of its own where it comes first; what follows of it is run without one, as starting a process takes long.
 */

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { eventually, startTestService, type TestService } from '../support/service.js';
import { type Entry, matches, type Outcome, readTranscript } from '../support/transcript-file.js';
import { runXl, runXlHere } from '../support/xl.js';

const FOLDER = join(import.meta.dirname, 'transcripts');
const FILES = readdirSync(FOLDER).sort();

let service: TestService;
beforeAll(async () => {
  service = await startTestService({ memory: 64 });
  for (const name of ['data.img', 'blank.img']) {
    await service.request('POST', '/v1/disks', { name, size: 1024 * 1024 });
  }
});
afterAll(() => service.close());
afterEach(async () => {
  const { json } = await service.request('GET', '/v1/domains?ended=true');
  for (const { uuid } of json.domains) {
    await service.request('DELETE', `/v1/domains/${uuid}`);
    await service.request('DELETE', `/v1/domains/${uuid}`);
  }
});

/** Verbs that have been run as a program; those that xl refuses by name count as one. */
const seen = new Set<string>();

function run({ words, input, expected }: Entry): Promise<Outcome> {
  const isAbsent = expected.err.includes('is not possible here');
  const verb = isAbsent ? 'absent' : (words.find((word) => !word.startsWith('-')) ?? '');
  const line = ['--host', service.url, ...words];
  const isNew = !seen.has(verb);
  seen.add(verb);
  return isNew || input !== '' ? runXl(line, input) : runXlHere(line);
}

const inWords = ({ out, err, status }: Outcome): string =>
  [out, err.replace(/^(?=.)/gm, '! '), status === 0 ? '' : `[${status}]\n`].join('');

describe('the transcript', () => {
  test.each(FILES)('%s', async (file) => {
    const variables = { FOLDER: service.folder, HOST: service.url };
    for (const entry of readTranscript(join(FOLDER, file), variables)) {
      const { expected, where, words } = entry;
      const look = (): Promise<Outcome> => run(entry);
      const isIt = (outcome: Outcome): boolean => matches(expected, outcome);
      const outcome = entry.until ? await eventually(look, isIt) : await look();
      if (isIt(outcome)) continue;
      expect(inWords(outcome), `${where}: xl ${words.join(' ')}`).toBe(inWords(expected));
      throw new Error(`${where}: what is to be a pattern is taken as it is`);
    }
  });
});
