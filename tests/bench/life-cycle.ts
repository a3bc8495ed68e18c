/** From POST to the first byte on the console to the frame given back, over real HTTP and WebSocket. */

import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { TestService } from '../support/service.js';
import { median, report } from './report.js';

const CLIENT = join(import.meta.dirname, 'life-cycle-client.ts');

export async function benchLifeCycle(service: TestService): Promise<void> {
  const client = await promisify(execFile)(process.execPath, [
    '--import',
    'tsx',
    CLIENT,
    service.url,
  ]);
  const { firstBytes, cyclesPerSecond } = JSON.parse(client.stdout) as {
    firstBytes: number[];
    cyclesPerSecond: number;
  };
  report('Life cycle of hello, over HTTP', [
    {
      name: 'POST to first console byte',
      value: median(firstBytes),
      unit: 'ms',
      remark: `median of ${firstBytes.length}`,
    },
    { name: 'the fastest', value: Math.min(...firstBytes), unit: 'ms' },
    {
      name: 'create and destroy',
      value: cyclesPerSecond,
      unit: 'cycles/s',
      remark: 'one after the other',
    },
  ]);
}
