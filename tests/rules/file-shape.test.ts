/** The style guide's limits that no linter knows: file length, the sentence at the top, a README in every folder. */

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';

const ROOT = join(import.meta.dirname, '../..');
const MAX_LINES = 400;
const CODE_FOLDERS = ['hypervisor', 'dom0', 'xenstore', 'toolstack'];

/** Files that are tables: one row per fact, so their length is the number of facts. */
const TABLES: readonly RegExp[] = [/^hypervisor\/x86\//, /^hypervisor\/public\//];

const files = CODE_FOLDERS.flatMap((folder) =>
  readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => `${folder}/${file}`),
);
const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8');

describe('production files', () => {
  test(`have at most ${MAX_LINES} lines, tables aside`, () => {
    const long = files
      .filter((file) => !TABLES.some((table) => table.test(file)))
      .filter((file) => read(file).split('\n').length - 1 > MAX_LINES);
    expect(long).toEqual([]);
  });

  test('open with a sentence that says what they are', () => {
    expect(files.filter((file) => !/^(#!.*\n\s*)?\/\*\*/.test(read(file)))).toEqual([]);
  });

  test('lie in folders that have a README', () => {
    const folders = [...new Set(files.map((file) => dirname(file)))];
    expect(folders.filter((folder) => !existsSync(join(ROOT, folder, 'README.md')))).toEqual([]);
  });
});
