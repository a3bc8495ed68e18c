/** A client's end of a ring page, for tests and for guests made of TypeScript. */

import { XS_RING_ERROR, XS_RING_SIZE } from '../../hypervisor/public/io/xs-wire.js';
import type { Channel, ChannelEvents } from '../protocol/channel.js';
import { RingPage } from '../protocol/ring.js';

export interface RingChannel extends Channel {
  /** The server has notified. */
  kick(): void;
}

/**
 * @param page the shared page
 * @param notify notifies the server
 */
export function ringChannel(page: Uint8Array, notify: () => void): RingChannel {
  const ring = new RingPage(page, 'client');
  const scratch = new Uint8Array(XS_RING_SIZE);
  let events: ChannelEvents | undefined;
  const waiting: Uint8Array[] = [];

  const pump = (): void => {
    for (let first = waiting[0]; first !== undefined; first = waiting[0]) {
      const room = ring.writable;
      if (room === 'bad-index' || room === 0) return;
      const count = Math.min(room, first.length);
      ring.put(first.subarray(0, count));
      if (count === first.length) waiting.shift();
      else waiting[0] = first.subarray(count);
      notify();
    }
  };

  const takeReplies = (): void => {
    for (;;) {
      const count = ring.readable;
      if (count === 'bad-index' || count === 0) return;
      ring.take(count, scratch);
      notify();
      events?.data(scratch.subarray(0, count));
    }
  };

  return {
    open(given) {
      events = given;
    },
    send(bytes) {
      if (bytes.length > 0) waiting.push(bytes);
      pump();
    },
    kick() {
      takeReplies();
      pump();
      const error = ring.flag('error');
      if (error !== XS_RING_ERROR.NONE) events?.closed(`ring error ${error}`);
    },
    close() {
      events?.closed('closed by the client');
    },
  };
}
