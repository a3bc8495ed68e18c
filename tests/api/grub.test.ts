/** A kernel that nobody here wrote: Debian's GRUB for Xen boots to its prompt and answers over the console WebSocket. */

import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { testWithPeer } from '../support/peer.js';
import { eventually, startTestService, type TestService, TestSocket } from '../support/service.js';

const GRUB = '/usr/lib/grub-xen/grub-x86_64-xen.bin';
/** GRUB draws its screen with escape sequences. */
const ESCAPES = /\x1b(\[[0-9;?]*[A-Za-z]|[()][A-Z0-9]|[=>])/g;

let service: TestService;
beforeAll(async () => {
  service = await startTestService({ memory: 512 });
});
afterAll(() => service.close());

const text = (terminal: TestSocket): string => terminal.output().replace(ESCAPES, '');

describe('GRUB', () => {
  testWithPeer(
    'grub-xen-host',
    [GRUB],
    'boots to grub> and answers echo, set, ls, help and halt',
    async () => {
      const body = new Uint8Array(readFileSync(GRUB));
      await fetch(`${service.url}/v1/images/grub`, { method: 'PUT', body });
      const trace = new TestSocket(`${service.url}/v1/trace?call=event_channel_op,grant_table_op`);
      await trace.opened();
      const free = (await service.request('GET', '/v1/host')).json.memory.freeFrames;
      const created = await service.request('POST', '/v1/domains', {
        name: 'grub',
        kernel: 'grub',
        memory: 128,
      });
      expect(created.status, created.text).toBe(201);
      const terminal = new TestSocket(`${service.url}/v1/domains/grub/console`);
      const answers = (wanted: string) =>
        terminal.until(() => text(terminal).includes(wanted), wanted, 60_000);
      await answers('grub>');

      const ask = async (command: string, wanted: string): Promise<void> => {
        const before = text(terminal).length;
        terminal.send(`${command}\r`);
        await terminal.until(
          () => text(terminal).slice(before).replaceAll(command, '').includes(wanted),
          `${wanted} after ${command}`,
          60_000,
        );
      };
      await ask('echo it is $grub_platform', 'it is xen');
      await ask('set', 'grub_cpu=x86_64');
      await ask('ls', '(proc)');
      await ask('help', 'halt');
      expect(trace.lines()).toContainEqual(expect.objectContaining({ name: 'event_channel_op' }));
      trace.close();

      terminal.send('\x1b');
      const { uuid } = created.json;
      terminal.send('halt\r');
      const ended = await eventually(
        async () => (await service.request('GET', `/v1/domains/${uuid}`)).json,
        ({ state }) => state === 'ended',
        60_000,
      );
      expect(ended.shutdownReason).toBe('poweroff');
      expect((await service.request('GET', '/v1/host')).json.memory.freeFrames).toBe(free);
    },
  );
});
