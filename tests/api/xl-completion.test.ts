/** The completion of xl in a real bash: verbs, flags, domains of a service that runs, files. */

import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestService, type TestService } from '../support/service.js';
import { runXlHere, XL_COMMAND } from '../support/xl.js';

const ROOT = join(import.meta.dirname, '../..');
let service: TestService;
let script: string;
beforeAll(async () => {
  service = await startTestService({ memory: 32 });
  for (const name of ['web-1', 'web-2', 'mail']) {
    const paused = { name, kernel: 'hello', memory: 4, paused: true };
    await service.request('POST', '/v1/domains', paused);
  }
  writeFileSync(join(service.folder, 'guest.cfg'), '');
  script = (await runXlHere(['completion', 'bash'])).out;
});
afterAll(() => service.close());

/** What bash offers at the end of a line. */
async function complete(...line: string[]): Promise<string[]> {
  const program = `
    xl() { (cd '${ROOT}' && ${XL_COMMAND.map((word) => `'${word}'`).join(' ')} "$@"); }
    ${script}
    COMP_WORDS=("$@")
    COMP_CWORD=$(($# - 1))
    _xl xl
    printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout } = await promisify(execFile)('bash', ['-c', program, 'bash', ...line], {
    cwd: service.folder,
  });
  return stdout.split('\n').filter((word) => word !== '');
}

describe('in bash', () => {
  // biome-ignore format: one row per line
  test.each([
    ['a verb',                                ['vcpu-'],                   ['vcpu-set', 'vcpu-list', 'vcpu-pin']],
    ['an option of xl',                       ['--ho'],                    ['--host']],
    ['a flag of a verb',                      ['create', '--dry'],         ['--dryrun']],
    ['a file',                                ['create', 'gu'],            ['guest.cfg']],
    ['the file of an option',                 ['create', '-f', 'gu'],      ['guest.cfg']],
    ['the second argument, which is a file',  ['dump-core', 'mail', 'gu'], ['guest.cfg']],
    ['the verb that help is about',           ['help', 'domi'],            ['domid']],
    ['a verb below a verb',                   ['token', 'c'],              ['create']],
    ['nothing after a verb that there is not', ['frobnicate', ''],         []],
    ['no verb that is only refused',          ['pci-'],                    []],
  ])('%s is completed', async (_what, line, expected) => {
    expect((await complete('xl', ...line)).sort()).toEqual([...expected].sort());
  });

  test('the domains are those of the service that the line names', async () => {
    const host = ['xl', '--host', service.url];
    expect(await complete(...host, 'console', 'we')).toEqual(['web-1', 'web-2']);
    expect(await complete(...host, 'block-list', 'mail', 'web-2', '')).toEqual([
      'web-1',
      'web-2',
      'mail',
    ]);
    expect(await complete('xl', '--host', 'http://127.0.0.1:1', 'console', '')).toEqual([]);
  });
});
