/** From POST to the first byte on the console to the frame given back, over real HTTP and WebSocket. */

import { type TestService, TestSocket } from '../support/service.js';
import { median, report } from './report.js';

const FIRST_BYTES = 51;
const CYCLES = 300;

/** ms from sending the POST until a byte of the console is here. */
async function firstByte(service: TestService, n: number): Promise<number> {
  const name = `first-${n}`;
  const start = performance.now();
  await service.request('POST', '/v1/domains', { name, kernel: 'hello', memory: 8 });
  const socket = new TestSocket(`${service.url}/v1/domains/${name}/console`);
  await socket.until(() => socket.output().length > 0, 'first byte');
  const elapsed = performance.now() - start;
  socket.close();
  await service.request('DELETE', `/v1/domains/${name}`);
  return elapsed;
}

/** ms for one create and destroy, waiting for neither boot nor console. */
async function cycle(service: TestService, n: number): Promise<void> {
  const name = `cycle-${n}`;
  const created = await service.request('POST', '/v1/domains', {
    name,
    kernel: 'hello',
    memory: 8,
  });
  if (created.status !== 201) throw new Error(created.text);
  const gone = await service.request('DELETE', `/v1/domains/${name}`);
  if (gone.status >= 300) throw new Error(gone.text);
}

export async function benchLifeCycle(service: TestService): Promise<void> {
  for (let i = 0; i < 10; i++) await cycle(service, 10_000 + i); // warm
  const bytes: number[] = [];
  for (let i = 0; i < FIRST_BYTES; i++) bytes.push(await firstByte(service, i));
  const start = performance.now();
  for (let i = 0; i < CYCLES; i++) await cycle(service, i);
  const perSecond = CYCLES / ((performance.now() - start) / 1000);
  report('Life cycle of hello, over HTTP', [
    {
      name: 'POST to first console byte',
      value: median(bytes),
      unit: 'ms',
      remark: `median of ${FIRST_BYTES}`,
    },
    { name: 'the fastest', value: Math.min(...bytes), unit: 'ms' },
    {
      name: 'create and destroy',
      value: perSecond,
      unit: 'cycles/s',
      remark: 'one after the other',
    },
  ]);
}
