/** Programs nobody here wrote, against our socket: xenstore-utils, Xen's test-xenstore, python3-pyxs. */
import { execFile, spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { XenstoreServer } from '../../xenstore/server/server.js';
import { listenOnSocket, type SocketTransport } from '../../xenstore/transport/unix-socket.js';
import { missingFile, peerTest } from './peers.js';
import { scratchDirectory } from './world.js';

const run = promisify(execFile);
const XEN_BIN = '/usr/lib/xen-4.17/bin';
const TEST_XENSTORE = `${XEN_BIN}/test-xenstore`;
const CONTROL = `${XEN_BIN}/xenstore-control`;

let server: XenstoreServer;
let socket: SocketTransport;
let env: NodeJS.ProcessEnv;
const logged: string[] = [];

beforeAll(async () => {
  server = new XenstoreServer({ hooks: { log: (text) => logged.push(text) } });
  socket = await listenOnSocket(server, join(scratchDirectory(), 's'));
  env = { ...process.env, XENSTORED_PATH: socket.path };
});
afterAll(async () => {
  await socket.close();
  rmSync(dirname(socket.path), { recursive: true });
});

/** Runs a tool; resolves with its output, or `exit <code>: <what it said>`. */
async function tool(name: string, ...args: readonly string[]): Promise<string> {
  try {
    return (await run(name, args, { env })).stdout;
  } catch (error) {
    const { code, stderr } = error as { code: number; stderr: string };
    return `exit ${code}: ${stderr.trim()}`;
  }
}

describe('xenstore-utils', () => {
  const missing = missingFile('/usr/bin/xenstore-ls', '/usr/bin/xenstore-watch');

  peerTest(missing, 'xenstore-write, -read, -exists, -list, -rm', async () => {
    expect(await tool('xenstore-write', '/u/a', 'one', '/u/b', 'two words')).toBe('');
    expect(await tool('xenstore-read', '/u/a', '/u/b')).toBe('one\ntwo words\n');
    expect(await tool('xenstore-read', '-p', '/u/a')).toBe('/u/a: one\n');
    expect(await tool('xenstore-read', '/u/c')).toContain("couldn't read path /u/c");
    expect(await tool('xenstore-exists', '/u/a')).toBe('');
    expect(await tool('xenstore-exists', '/u/c')).toMatch(/^exit 1/);
    expect(await tool('xenstore-list', '/u')).toBe('a\nb\n');
    expect(await tool('xenstore-rm', '/u/a')).toBe('');
    expect(await tool('xenstore-list', '-p', '/u')).toBe('/u/b\n');
    expect(await tool('xenstore-write', '/u/d/e', 'x')).toBe('');
    expect(await tool('xenstore-rm', '-t', '/u/d/e')).toBe('');
    expect(await tool('xenstore-exists', '/u/d')).toMatch(/^exit 1/);
  });

  peerTest(missing, 'xenstore-chmod -r and -u, xenstore-ls -f -p', async () => {
    await tool('xenstore-write', '/c/x', '1', '/c/y/z', '2');
    expect(await tool('xenstore-chmod', '-r', '/c', 'n0', 'r5')).toBe('');
    expect(await tool('xenstore-ls', '-f', '-p', '/c')).toBe(
      '/c/x = "1"   (n0,r5)\n/c/y = ""   (n0,r5)\n/c/y/z = "2"   (n0,r5)\n',
    );
    expect(await tool('xenstore-chmod', '-u', '/c/y/z', 'b0')).toBe('');
    expect(await tool('xenstore-ls', '/c')).toBe('x = "1"\ny = ""\n z = "2"\n');
    expect(await tool('xenstore-ls', '-p', '/c/y')).toMatch(/^z = "2"[ .]+\(b0\)\n$/);
  });

  peerTest(missing, 'xenstore-ls of a directory longer than a payload', async () => {
    const pairs = Array.from({ length: 600 }, (_, i) => [`/big/child-${i}`, String(i)]).flat();
    expect(await tool('xenstore-write', ...pairs)).toBe('');
    const listed = (await tool('xenstore-list', '/big')).trim().split('\n');
    expect(listed).toHaveLength(600);
    expect(listed[599]).toBe('child-599');
  });

  peerTest(missing, 'xenstore-watch -n', async () => {
    const child = spawn('xenstore-watch', ['-n', '4', '/w', '/v'], { env });
    const exit = new Promise((resolve) => child.once('exit', resolve));
    let out = '';
    child.stdout.on('data', (chunk) => {
      out += chunk;
    });
    await expect.poll(() => out.split('\n').length).toBe(3);
    await tool('xenstore-write', '/w/a', '1', '/v', '2', '/u', '3');
    expect(await exit).toBe(0);
    expect(out).toBe('/w\n/v\n/w/a\n/v\n');
  });

  peerTest(missing, 'the combined binary: xenstore read …', async () => {
    expect(await tool('xenstore', 'write', '/x', '1')).toBe('');
    expect(await tool('xenstore', 'read', '/x')).toBe('1\n');
  });

  peerTest(missingFile(CONTROL), 'xenstore-control', async () => {
    expect(await tool(CONTROL, 'check')).toBe('OK\n');
    expect(await tool(CONTROL, 'help')).toContain('memreport');
    expect(await tool(CONTROL, 'quota')).toContain('nodes            :     1000');
    expect(await tool(CONTROL, 'quota', '0')).toContain('Domain 0:\nnodes           :');
    expect(await tool(CONTROL, 'memreport')).toContain('nodes: ');
    expect(await tool(CONTROL, 'print', 'hello')).toBe('OK\n');
    expect(logged).toContain('hello');
    expect(await tool(CONTROL, 'log', 'on')).toBe('OK\n');
    expect(await tool(CONTROL, 'live-update', '-s')).toMatch(/Command not supported|exit/);
  });
});

describe('test-xenstore of xen-utils-4.17', () => {
  const missing = missingFile(TEST_XENSTORE);

  const parse = (out: string): string[] =>
    out
      .split('\n')
      .filter((line) => line.includes('avg:'))
      .map((line) => line.split(':')[0]?.trim() ?? '');

  const TESTS = [
    'read 1',
    'read 2000',
    'write 1',
    'write 2000',
    'dir',
    'rm node',
    'rm dir',
    'ta empty',
    'ta empty x',
    'ta rmw',
    'ta rmw x',
    'ta err',
  ];

  peerTest(
    missing,
    'all its tests, -i 5000',
    async () => {
      const { stdout } = await run(TEST_XENSTORE, ['-i', '5000'], { env });
      expect(parse(stdout)).toEqual(TESTS);
    },
    240_000,
  );

  peerTest(
    missing,
    'random operations, -r 3',
    async () => {
      const { stdout } = await run(TEST_XENSTORE, ['-r', '3'], { env });
      expect(stdout).not.toMatch(/fail|error/i);
    },
    240_000,
  );
});

describe('python3-pyxs', () => {
  const missing = missingFile('/usr/bin/python3', '/usr/lib/python3/dist-packages/pyxs');

  peerTest(missing, 'transactions, conflicts and watches', async () => {
    const script = join(import.meta.dirname, 'pyxs-script.py');
    const { stdout } = await run('/usr/bin/python3', [script], { env });
    expect(stdout.trim().split('\n').at(-1)).toBe('pyxs: all passed');
  });
});
