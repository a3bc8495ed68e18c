/**
 * Transcripts of a shell session, as people read them: what is typed, what is printed, what comes of it.
 *
 *   # a remark
 *   $ xl domid hello        typed; $FOLDER is the folder of the service. After "$ until" it is typed again until it prints what follows.
 *   < text                  typed into it
 *   «\d+»                   printed on standard output; between the quotes is a regular expression, all else is taken as it is
 *   ...                     any lines
 *   ! xl: why not           printed on standard error
 *   [1]                     its exit status, if that is not 0
 */

import { readFileSync } from 'node:fs';

export interface Entry {
  /** Its place, for messages: "domains.txt:12". */
  readonly where: string;
  readonly until: boolean;
  /** The words after `xl`. */
  readonly words: readonly string[];
  readonly input: string;
  readonly expected: Outcome;
}

export interface Outcome {
  readonly out: string;
  readonly err: string;
  readonly status: number;
}

type Draft = { -readonly [K in keyof Entry]: Entry[K] } & { expected: Outcome };

/** @param variables what stands for each name. @throws Error for a line that is none of the above. */
export function readTranscript(file: string, variables: Readonly<Record<string, string>>): Entry[] {
  const entries: Draft[] = [];
  const name = file.replace(/^.*\//, '');
  const put = (text: string): string =>
    text.replace(/\$([A-Z]+)/g, (whole, key: string) => variables[key] ?? whole);
  for (const [n, line] of readFileSync(file, 'utf8').split('\n').entries()) {
    const where = `${name}:${n + 1}`;
    const [, until, typed] = /^\$ (until )?xl ?(.*)$/.exec(line) ?? [];
    if (typed !== undefined)
      entries.push(entry(where, until !== undefined, shellWords(put(typed))));
    else if (!line.startsWith('#') && line !== '') addTo(entries.at(-1), line, put, where);
  }
  return entries;
}

/** A line that follows what was typed. */
function addTo(
  last: Draft | undefined,
  line: string,
  put: (text: string) => string,
  where: string,
): void {
  if (last === undefined) throw new Error(`${where}: nothing has been typed yet`);
  const { expected } = last;
  const rest = put(line.slice(2));
  const status = /^\[(\d+)\]$/.exec(line)?.[1];
  if (status !== undefined) last.expected = { ...expected, status: Number(status) };
  else if (line.startsWith('< ')) last.input += `${rest}\r`;
  else if (line.startsWith('! ')) last.expected = { ...expected, err: `${expected.err}${rest}\n` };
  else last.expected = { ...expected, out: `${expected.out}${put(line)}\n` };
}

const entry = (where: string, until: boolean, words: string[]): Draft => ({
  where,
  until,
  words,
  input: '',
  expected: { out: '', err: '', status: 0 },
});

/** As a shell would take them apart: blanks separate, quotes hold together. */
function shellWords(text: string): string[] {
  const words = text.match(/(?:'[^']*'|"[^"]*"|[^\s'"])+/g) ?? [];
  return words.map((word) => word.replace(/'([^']*)'|"([^"]*)"/g, '$1$2'));
}

/** Whether it came as it is written, carriage returns of a console aside. */
export const matches = (expected: Outcome, { out, err, status }: Outcome): boolean =>
  pattern(expected.out).test(out.replaceAll('\r', '')) &&
  pattern(expected.err).test(err) &&
  expected.status === status;

function pattern(text: string): RegExp {
  const whole = text.split(/(?<=\n)/);
  const last = whole.length - 1;
  const lines = whole.map((line, n) => {
    if (line === '...\n') return n === last ? '[^]*' : '(?:.*\\n)*?';
    return line
      .split(/«(.*?)»/)
      .map((part, i) => (i % 2 === 1 ? part : escaped(part)))
      .join('');
  });
  return new RegExp(`^${lines.join('')}$`);
}

const escaped = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');
