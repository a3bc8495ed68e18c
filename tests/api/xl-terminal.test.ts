/** xl in a real terminal: the console and ctrl-], and xl top; the terminal is afterwards as it was, however they end. */

import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { testWithPeer } from '../support/peer.js';
import { startTestService, type TestService } from '../support/service.js';
import { XL_COMMAND } from '../support/xl.js';

const PYTHON = '/usr/bin/python3';
const SESSION = join(import.meta.dirname, '../support/terminal-session.py');
const DETACH = '\x1d';
/** What draws a page of xl top anew, and what brings back what was on the screen before. */
const HOME = '\x1b[H';
const LEAVE = '\x1b[?25h\x1b[?1049l';

let service: TestService;
beforeAll(async () => {
  service = await startTestService({ memory: 32 });
});
afterAll(() => service.close());

type Step = { wait: string } | { type: string } | { signal: number };

interface Session {
  readonly status: number;
  readonly shown: string;
  /** Whether the modes of the terminal are those of before. */
  readonly restored: boolean;
  readonly problem: string | null;
}

/** Runs xl in a terminal of 80 columns and 24 lines. */
async function terminal(words: readonly string[], steps: readonly Step[]): Promise<Session> {
  const command = [...XL_COMMAND, '--host', service.url, ...words];
  const { stdout } = await promisify(execFile)(PYTHON, [
    SESSION,
    JSON.stringify(steps),
    ...command,
  ]);
  return JSON.parse(stdout) as Session;
}

const inTerminal = (name: string, body: () => Promise<void>): void =>
  testWithPeer('python3', [PYTHON], name, body);

const WELL = { status: 0, restored: true, problem: null };

describe('the console', () => {
  inTerminal(
    'is typed into and shows what comes; ctrl-] detaches, the domain goes on',
    async () => {
      const session = await terminal(
        ['create', '-c', 'name=hello', 'kernel=hello', 'memory=4'],
        [
          { wait: 'hello> ' },
          { type: 'echo over a terminal\r' },
          { wait: '\nover a terminal\r*\n' },
          { type: DETACH },
        ],
      );
      expect(session).toMatchObject(WELL);
      const { json } = await service.request('GET', '/v1/domains/hello');
      expect(['running', 'blocked']).toContain(json.state);
    },
  );

  inTerminal('ends with xl, if that is terminated', async () => {
    const session = await terminal(['console', 'hello'], [{ wait: 'hello> ' }, { signal: 15 }]);
    expect(session).toMatchObject({ ...WELL, status: -15 });
  });

  inTerminal('ends with the domain', async () => {
    const session = await terminal(['console', 'hello'], [{ wait: 'hello> ' }, { type: 'halt\r' }]);
    expect(session).toMatchObject(WELL);
    expect(session.shown).toContain('bye');
  });
});

describe('xl top', () => {
  inTerminal('fits into 80 columns, takes keys, and quits by q', async () => {
    await service.request('POST', '/v1/domains', { name: 'busy', kernel: 'hello', memory: 4 });
    const session = await terminal(
      ['top'],
      [
        { wait: ' busy [^\n]*\n' },
        { type: 'v' },
        { wait: 'VCPUs\\(sec\\): 0:' },
        { type: 's' },
        { wait: 'sort: STATE' },
        { type: '\x1b[C' },
        { wait: 'NAME   CPU\\(sec\\)' },
        { type: 'd' },
        { wait: 'Delay\\(sec\\): ' },
        { type: '0.1\r' },
        { wait: 'sort: STATE' },
        { type: 'q' },
      ],
    );
    expect(session).toMatchObject(WELL);
    expect(session.shown.endsWith(LEAVE)).toBe(true);
    const pages = session.shown.split(HOME).slice(1);
    for (const page of pages) {
      const lines = page.replace(/\x1b\[[?\d]*[A-Za-z]/g, '').split(/\r*\n/);
      expect(lines.length).toBeLessThanOrEqual(24);
      for (const line of lines) expect(line.length).toBeLessThanOrEqual(80);
    }
    expect(pages[0]).toContain('2 domains: ');
  });

  inTerminal('gives the screen back when it is terminated', async () => {
    const session = await terminal(['top'], [{ wait: 'Domain-0' }, { signal: 15 }]);
    expect(session).toMatchObject({ ...WELL, status: 143 });
    expect(session.shown.endsWith(LEAVE)).toBe(true);
  });
});
