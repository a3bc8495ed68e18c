/** Waiting for a domain to stop, by the event stream. */

import type { RawData } from 'ws';
import { Domain } from '../schemas/domain.js';
import { DomainEvent } from '../schemas/event.js';
import { type Client, UserError } from './client.js';

const WANTED: Readonly<Record<'shutdown' | 'reboot', ReadonlySet<DomainEvent['kind']>>> = {
  shutdown: new Set(['destroyed', 'shutdown', 'crashed']),
  reboot: new Set(['restarted', 'destroyed', 'crashed']),
};

/** Listens from now on. `done` resolves when the domain has stopped or, for a reboot, runs again; it rejects if its kernel does not react. */
export async function waitForEnd(
  client: Client,
  id: string,
  verb: 'shutdown' | 'reboot',
): Promise<{ done: Promise<void> }> {
  const { uuid } = await client.json(Domain, 'GET', `/v1/domains/${encodeURIComponent(id)}`);
  const socket = await client.socket('/v1/events');
  const done = new Promise<void>((resolve, reject) => {
    socket.on('message', (data: RawData) => {
      const event = DomainEvent.safeParse(JSON.parse(String(data))).data;
      if (event?.uuid !== uuid) return;
      if (WANTED[verb].has(event.kind)) resolve();
      if (event.kind === 'unresponsive') reject(new UserError(event.detail ?? 'no reaction'));
    });
    socket.on('close', () => reject(new UserError('the service has closed the connection')));
  });
  socket.resume();
  const close = (): void => socket.close();
  done.then(close, close);
  return { done };
}
