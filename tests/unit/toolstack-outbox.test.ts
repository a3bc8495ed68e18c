/** A WebSocket reader that stalls: what is kept, what is dropped, and that every drop is reported. */

import { EventEmitter } from 'node:events';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { WebSocket } from 'ws';
import { Outbox } from '../../toolstack/api/outbox.js';

class FakeSocket extends EventEmitter {
  bufferedAmount = 0;
  readonly sent: unknown[] = [];
  send(frame: unknown): void {
    this.sent.push(frame);
  }
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function outbox(): { socket: FakeSocket; box: Outbox } {
  const socket = new FakeSocket();
  return { socket, box: new Outbox(socket as unknown as WebSocket, undefined, 100) };
}

test('frames go out in order while the reader reads', () => {
  const { socket, box } = outbox();
  box.send('a', 1);
  box.send('b', 1);
  expect(socket.sent).toEqual(['a', 'b']);
});

test('a stalled reader is told, before anything else, how much it has missed', () => {
  const { socket, box } = outbox();
  box.send('a', 1);
  socket.bufferedAmount = 101;
  box.send('lost', 3);
  box.send('lost too', 4);
  expect(box.full).toBe(true);
  socket.bufferedAmount = 0;
  box.send('b', 1);
  expect(socket.sent).toEqual(['a', '{"dropped":7}', 'b']);
});

test('the drops are reported even if nothing is sent afterwards', () => {
  const { socket, box } = outbox();
  socket.bufferedAmount = 101;
  box.send('lost', 5);
  vi.advanceTimersByTime(1000);
  expect(socket.sent).toEqual([]);
  socket.bufferedAmount = 0;
  vi.advanceTimersByTime(1000);
  expect(socket.sent).toEqual(['{"dropped":5}']);
  expect(vi.getTimerCount()).toBe(0);
});

test('nothing goes on ticking for a reader that has left', () => {
  const { socket, box } = outbox();
  socket.bufferedAmount = 101;
  box.send('lost', 5);
  socket.emit('close');
  expect(vi.getTimerCount()).toBe(0);
});
