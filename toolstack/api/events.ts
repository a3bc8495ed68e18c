/** `/v1/events`: the event stream over WebSocket, one JSON envelope a frame. `since=n` replays what came after event n. */

import { z } from 'zod';
import type { Services } from '../domains/services.js';
import { Outbox } from './outbox.js';
import type { SocketRoute } from './websockets.js';

const EventQuery = z.strictObject({
  since: z.coerce.number().int().min(0).optional().describe('Number of the last event seen.'),
});

export const eventSocket = ({ events }: Services): SocketRoute => ({
  path: /^\/v1\/events$/,
  open(_params, query) {
    const { since = events.last } = EventQuery.parse(Object.fromEntries(query));
    return (socket) => {
      const outbox = new Outbox(socket);
      const missed = events.since(since);
      const lost = (missed[0]?.seq ?? since + 1) - since - 1;
      if (lost > 0) outbox.drop(lost);
      for (const event of missed) outbox.send(JSON.stringify(event), 1);
      socket.on(
        'close',
        events.subscribe((event) => outbox.send(JSON.stringify(event), 1)),
      );
    };
  },
});
