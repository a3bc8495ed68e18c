/** The style guide's limits that no linter knows: file length, the sentence at the top, a README in every folder. */

import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';

const ROOT = join(import.meta.dirname, '../..');
const MAX_LINES = 400;
const CODE_FOLDERS = /^(hypervisor|dom0|xenstore|toolstack)\//;

/** Files that are tables: one row per fact, so their length is the number of facts. */
const TABLES: readonly RegExp[] = [/^hypervisor\/x86\//, /^hypervisor\/public\//];

const tracked = execFileSync('git', ['ls-files'], { cwd: ROOT, encoding: 'utf8' })
  .split('\n')
  .filter(
    (file) => CODE_FOLDERS.test(file) && file.endsWith('.ts') && existsSync(join(ROOT, file)),
  );
const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8');

describe('production files', () => {
  test(`have at most ${MAX_LINES} lines, tables aside`, () => {
    const long = tracked
      .filter((file) => !TABLES.some((table) => table.test(file)))
      .filter((file) => read(file).split('\n').length - 1 > MAX_LINES);
    expect(long).toEqual([]);
  });

  test('open with a sentence that says what they are', () => {
    expect(tracked.filter((file) => !/^(#!.*\n\s*)?\/\*\*/.test(read(file)))).toEqual([]);
  });

  test('lie in folders that have a README', () => {
    const folders = [...new Set(tracked.map((file) => dirname(file)))];
    expect(folders.filter((folder) => !existsSync(join(ROOT, folder, 'README.md')))).toEqual([]);
  });
});
