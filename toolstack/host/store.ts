/** The XenStore of the host: the server, and a ring for each domain that is introduced to it. */

import type { EventChannel, MappedPage, Privcmd } from '../../dom0/privcmd.js';
import { XenstoreServer } from '../../xenstore/server/server.js';
import { RingTransport } from '../../xenstore/transport/ring.js';

interface Ring {
  readonly transport: RingTransport;
  readonly page: MappedPage;
  readonly channel: EventChannel;
}

export function startStore(privcmd: Privcmd, log: (text: string) => void): XenstoreServer {
  const rings = new Map<number, Promise<Ring>>();
  const server: XenstoreServer = new XenstoreServer({
    hooks: {
      introduce(domid, mfn, port) {
        const ring = rings.get(domid);
        if (ring === undefined) rings.set(domid, connectRing(privcmd, server, domid, mfn, port));
        else void ring.then(({ transport }) => transport.restart(), ignore);
      },
      release(domid) {
        const ring = rings.get(domid);
        rings.delete(domid);
        void ring?.then(disconnectRing).catch(ignore);
      },
      log,
      bug: (error) => log(`xenstored: ${error instanceof Error ? error.stack : String(error)}`),
    },
  });
  privcmd.onDomain(({ domid, state }) => {
    if (state !== 'destroyed') server.domainShutdown(domid);
  });
  return server;
}

async function connectRing(
  privcmd: Privcmd,
  server: XenstoreServer,
  domid: number,
  mfn: number,
  port: number,
): Promise<Ring> {
  let transport: RingTransport | undefined;
  const [page, channel] = await Promise.all([
    privcmd.mapFrame(domid, mfn),
    privcmd.bindInterdomain(domid, port, () => transport?.kick()),
  ]);
  transport = new RingTransport(server, {
    domid,
    page: page.bytes,
    notify: () => channel.notify(),
  });
  transport.kick();
  return { transport, page, channel };
}

/** The page is let go of first: nothing may look at it when the frame belongs to somebody else. */
async function disconnectRing({ transport, page, channel }: Ring): Promise<void> {
  transport.close();
  await Promise.all([page.unmap(), channel.close()]);
}

/** A domain that died meanwhile has no ring to connect. */
const ignore = (): void => undefined;
