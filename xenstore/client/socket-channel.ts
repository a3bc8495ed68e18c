/** A client's end of the unix socket. */
import { connect } from 'node:net';
import type { Channel } from '../protocol/channel.js';

/** @param path of the socket, as in XENSTORED_PATH */
export function socketChannel(path: string): Channel {
  const socket = connect({ path });
  return {
    open(events) {
      let reason = 'closed by the daemon';
      socket.on('data', (bytes) => events.data(bytes));
      socket.on('error', (error) => {
        reason = error.message;
      });
      socket.on('close', () => events.closed(reason));
    },
    send(bytes) {
      socket.write(bytes);
    },
    close() {
      socket.destroy();
    },
  };
}
