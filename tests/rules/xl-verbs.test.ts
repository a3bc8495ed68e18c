/** Each verb of xl is shown in a transcript or has a test, with a good and a bad use; each that prints something does so in JSON, too. */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { program } from '../../toolstack/cli/program.js';
import { readTranscript } from '../support/transcript-file.js';

const API = join(import.meta.dirname, '../api');
const TRANSCRIPTS = join(API, 'transcripts');
const TESTS = readdirSync(API).filter((name) => /^xl.*\.test\.ts$/.test(name));
const CONVENTION =
  "show it as `$ xl VERB` in tests/api/transcripts/*.txt, or run it as `xl VERB`, xl('VERB …') or ['VERB', …] in tests/api/xl*.test.ts";

/** What is typed to see them end well needs Linux: tests/api/save.test.ts does. */
const WELL_ELSEWHERE: ReadonlySet<string> = new Set(['save', 'restore']);
/** They print nothing that a program would want to read, or their verbs have the option. */
const NO_JSON: ReadonlySet<string> = new Set(['help', 'completion', 'token', 'xenstore-rm']);

const verbs = program().commands;
const isAbsent = (verb: (typeof verbs)[number]): boolean =>
  verb.description().startsWith('not here:');
const names = verbs.map((verb) => verb.name());
const entries = readdirSync(TRANSCRIPTS).flatMap((file) =>
  readTranscript(join(TRANSCRIPTS, file), {}),
);
const transcribed = (name: string) => entries.filter(({ words }) => words.includes(name));
const text = TESTS.map((name) => readFileSync(join(API, name), 'utf8')).join('\n');
const isTested = (name: string): boolean =>
  new RegExp(`(\\bxl |xl\\(['\`]|\\[['\`])${name}(?![\\w-])`).test(text);

test(`each verb of xl has a test: ${CONVENTION}`, () => {
  const missing = names.filter((name) => transcribed(name).length === 0 && !isTested(name));
  expect(missing, CONVENTION).toEqual([]);
});

test('each verb in the transcripts ends well there, and is refused there', () => {
  const shown = verbs.filter((verb) => !isAbsent(verb)).map((verb) => verb.name());
  const lacking = shown.flatMap((name) => {
    const statuses = transcribed(name).map(({ expected }) => expected.status);
    if (statuses.length === 0) return [];
    const well = WELL_ELSEWHERE.has(name) || statuses.includes(0);
    return [
      ...(well ? [] : [`${name} is never shown to end well`]),
      ...(statuses.some((status) => status > 0) ? [] : [`${name} is never refused`]),
    ];
  });
  expect(lacking).toEqual([]);
});

test('each verb of xl that prints something takes --json', () => {
  const without = verbs
    .filter((verb) => !isAbsent(verb) && !NO_JSON.has(verb.name()))
    .filter((verb) => !verb.options.some(({ long }) => long === '--json'))
    .map((verb) => verb.name());
  expect(without).toEqual([]);
});
