/** Waiting for what becomes of a domain, by the event stream. */

import type { RawData } from 'ws';
import type { Domain, ShutdownReason } from '../schemas/domain.js';
import { DomainEvent } from '../schemas/event.js';
import { type Client, UserError } from './client.js';
import { readDomain } from './command.js';

export interface Watch {
  /** Resolves when it has come to that. */
  readonly done: Promise<void>;
  /** Waits no longer: `done` stays open. */
  stop(): void;
}

/** Whether it has come to that; what it throws, `done` rejects with. */
type Verdict = (event: DomainEvent) => boolean;

const WANTED: Readonly<Record<'shutdown' | 'reboot', ReadonlySet<DomainEvent['kind']>>> = {
  shutdown: new Set(['destroyed', 'shutdown', 'crashed']),
  reboot: new Set(['restarted', 'destroyed', 'crashed']),
};

/** Until it has stopped or, for a reboot, runs again; rejects if its kernel does not react. */
export const watchForStop = (client: Client, uuid: string, verb: 'shutdown' | 'reboot') =>
  watch(client, uuid, ({ kind, detail }) => {
    if (kind === 'unresponsive') throw new UserError(detail ?? 'no reaction');
    return WANTED[verb].has(kind);
  });

/** Until it has ended for good: it is destroyed, or its policies leave it as it is. It may have ended already. */
export async function waitForDeath(client: Client, { uuid, policies }: Domain): Promise<void> {
  const stays = (reason: ShutdownReason | undefined): boolean =>
    reason !== undefined &&
    reason !== 'suspend' &&
    policies[reason === 'soft_reset' ? 'softReset' : reason] === 'preserve';
  const { done, stop } = await watch(client, uuid, ({ kind, reason }) =>
    kind === 'shutdown' || kind === 'crashed' ? stays(reason) : kind === 'destroyed',
  );
  const { state, shutdownReason } = await readDomain(client, uuid);
  if (state === 'ended' || (state === 'shutdown' && stays(shutdownReason))) stop();
  else await done;
}

/** Listens from now on. */
async function watch(client: Client, uuid: string, isIt: Verdict): Promise<Watch> {
  const socket = await client.socket(`/v1/events?domain=${uuid}`);
  const done = new Promise<void>((resolve, reject) => {
    socket.on('message', (data: RawData) => {
      const event = DomainEvent.safeParse(JSON.parse(String(data))).data;
      if (event?.uuid !== uuid) return;
      try {
        if (isIt(event)) resolve();
      } catch (error) {
        reject(error);
      }
    });
    socket.on('close', () => reject(new UserError('the service has closed the connection')));
  });
  const stop = (): void => {
    socket.removeAllListeners('close');
    socket.terminate();
  };
  done.then(stop, stop);
  socket.resume();
  return { done, stop };
}
