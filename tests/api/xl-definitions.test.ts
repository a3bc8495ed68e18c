/** xl define, definitions, start, autostart, undefine as their users type them, against a real service. */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestService, type TestService } from '../support/service.js';
import { runXl } from '../support/xl.js';

const ROOT = join(import.meta.dirname, '../..');
let service: TestService;
beforeAll(async () => {
  service = await startTestService({ memory: 32 });
});
afterAll(() => service.close());

/** @param input typed to it; standard input stays open until the program ends. */
const xl = (args: string, input?: string) =>
  runXl(['--host', service.url, ...args.split(' ')], input);

const well = { status: 0, out: '', err: '' };
const TABLE = `${'Name'.padEnd(40)} Autostart State\n`;
const row = (name: string, autostart: string, state: string): string =>
  `${name.padEnd(40)} ${autostart.padEnd(9)} ${state}\n`;

describe('xl', () => {
  test('define, definitions, start, autostart, undefine', async () => {
    expect(await xl('define name=web kernel=hello memory=4 --autostart')).toEqual(well);
    expect(await xl('definitions')).toEqual({ ...well, out: TABLE + row('web', 'on', '-') });
    // What is defined anew starts of itself as before, unless it is said.
    expect(await xl('define name=web kernel=hello memory=6')).toEqual(well);
    expect(await xl('autostart web off')).toEqual(well);
    expect(await xl('start web')).toEqual(well);
    expect((await xl('definitions')).out).toMatch(/^web {38}off {7}(running|blocked)\n/m);
    const again = await xl('start web');
    expect(again).toMatchObject({ status: 1, out: '' });
    expect(again.err).toMatch(/^xl: The domain "web" is there already: domain \d+, \w+\.\n$/);
    expect(await xl('undefine web')).toEqual(well);
    expect(await xl('definitions')).toEqual({ ...well, out: TABLE });
    expect((await xl('domid web')).out).toMatch(/^\d+\n$/);
    await service.request('DELETE', '/v1/domains/web');
  });

  test('define takes a file as create does, with a kernel that is a file here', async () => {
    const file = join(service.folder, 'guest.cfg');
    const kernel = join(ROOT, 'guests/images/hello.elf');
    writeFileSync(file, `name = "filed"\nkernel = "${kernel}"\nmemory = 4\n`);
    const dry = await xl(`define -n ${file} extra=dry`);
    expect(JSON.parse(dry.out)).toEqual({ name: 'filed', kernel, memory: 4, cmdline: 'dry' });
    expect((await service.request('GET', '/v1/definitions/filed')).status).toBe(404);
    expect(await xl(`define ${file}`)).toEqual({ ...well, err: `Parsing config from ${file}\n` });
    const { config } = (await service.request('GET', '/v1/definitions/filed')).json;
    expect(config.kernel).toMatch(/^[0-9a-f]{12}-hello\.elf$/);
    const uploaded = join(service.folder, 'images', config.kernel);
    expect(readFileSync(uploaded)).toEqual(readFileSync(kernel));
    await xl('undefine filed');
  });

  test('each of them has --json; start -c attaches to the console', async () => {
    const json = async (args: string) => JSON.parse((await xl(args)).out);
    const kept = await json('define -q name=web kernel=hello memory=4 --json');
    expect(kept).toMatchObject({ config: { name: 'web', memory: 4 }, autostart: false });
    const on = { ...kept, autostart: true };
    expect(await json('autostart web on --json')).toEqual(on);
    expect(await json('definitions --json')).toEqual([on]);
    const { status, out } = await xl('start web -c --json', 'halt\r');
    expect(status).toBe(0);
    expect(out).toContain('"name": "web"');
    expect(out).toContain('Hello from domain');
    expect(await json('undefine web --json')).toEqual(on);
  });

  // biome-ignore format: one row per mistake
  test.each([
    ['define name=1 kernel=k',   'xl: /config/name: must not be a number'],
    ['undefine nobody',          'xl: There is no definition "nobody".'],
    ['start nobody',             'xl: There is no definition "nobody".'],
    ['autostart nobody on',      'xl: There is no definition "nobody".'],
    ['autostart nobody perhaps', 'xl: autostart is on or off, not "perhaps"'],
    ['definitions --frobnicate', "unknown option '--frobnicate'"],
  ])('%s is refused', async (args, message) => {
    const { status, err } = await xl(args);
    expect(err).toContain(message);
    expect(status).toBeGreaterThan(0);
  });
});
