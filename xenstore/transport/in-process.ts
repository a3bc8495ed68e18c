/** A client in the same thread: bytes are handed over in microtasks, so that neither side calls into the other. */
import type { Channel, ChannelEvents } from '../protocol/channel.js';
import type { Connection } from '../server/connection.js';
import type { XenstoreServer } from '../server/server.js';

export interface InProcessOptions {
  /** In whose name; 0: with all rights. */
  readonly domid?: number;
  /** For people, in the inspector. */
  readonly label?: string;
}

export function inProcessChannel(server: XenstoreServer, options: InProcessOptions = {}): Channel {
  let connection: Connection | undefined;
  return {
    open(events: ChannelEvents): void {
      connection = server.connect({
        domid: options.domid ?? 0,
        transport: options.label ?? 'in-process',
        send(bytes) {
          const copy = bytes.slice();
          queueMicrotask(() => events.data(copy));
          return true;
        },
        close(reason) {
          queueMicrotask(() => events.closed(reason));
        },
      });
    },
    send(bytes: Uint8Array): void {
      queueMicrotask(() => connection?.receive(bytes));
    },
    close(): void {
      connection?.close('closed by the client');
    },
  };
}
