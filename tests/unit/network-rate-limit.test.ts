/** The rate limit of a port: what it lets through in a time, what waits, what is lost. */

import { describe, expect, test } from 'vitest';
import type { RateLimit } from '../../dom0/network/port.js';
import { LearningSwitch } from '../../dom0/network/switch.js';
import { FakeHost, frame, Station } from '../support/network.js';

const A = '00:16:3e:00:00:0a';
const B = '00:16:3e:00:00:0b';

function limited(rate: RateLimit) {
  const host = new FakeHost();
  const network = new LearningSwitch('xenbr0', host);
  const receiver = new Station('b');
  network.attach(receiver, { antiSpoof: true, mac: B });
  const port = network.attach(new Station('a'), { antiSpoof: true, mac: A, rate });
  const send = (count: number) => {
    for (let i = 0; i < count; i++) port.send(frame(B, A, Uint8Array.of(...new Array(986), i)));
  };
  return { host, port, send, arrived: () => receiver.take().map(({ bytes }) => bytes[1000]) };
}

describe('a port limited to 100 frames of 1001 bytes in 50 ms', () => {
  const rate = { bytes: 100_100, intervalUs: 50_000 };

  test('sends a burst of that many at once and the rest evenly, in order', () => {
    const { host, send, arrived } = limited(rate);
    send(150);
    expect(arrived()).toHaveLength(100);
    host.advance(10);
    expect(arrived()).toEqual(Array.from({ length: 20 }, (_, i) => 100 + i));
    host.advance(15);
    expect(arrived()).toHaveLength(30);
    expect(host.waiting).toBe(0);
  });

  test('keeps to its rate for long, and loses what its queue cannot hold', () => {
    const { host, port, send, arrived } = limited(rate);
    let count = 0;
    for (let ms = 0; ms < 10_000; ms += 10) {
      send(40);
      host.advance(10);
      count += arrived().length;
    }
    expect(count / 10).toBeCloseTo(2000, -2);
    send(40);
    const { sent, drops } = port.counters;
    expect(sent.frames).toBe(count);
    expect(40_040 - sent.frames - drops.rate).toBe(Math.floor((512 * 1024) / 1001));
  });

  test('saves up no more than one burst', () => {
    const { host, send, arrived } = limited(rate);
    host.advance(60_000);
    send(200);
    expect(arrived()).toHaveLength(100);
  });

  test('leaves no timer and no frame when it is closed', () => {
    const { host, port, send, arrived } = limited(rate);
    send(150);
    arrived();
    port.close();
    host.advance(1000);
    expect(arrived()).toEqual([]);
    expect(host.waiting).toBe(0);
  });
});

test('a rate lower than the longest frame lets it through all the same', () => {
  const { host, port, arrived } = limited({ bytes: 1000, intervalUs: 50_000 });
  const long = (): void => port.send(frame(B, A, new Uint8Array(1400)));
  for (let i = 0; i < 60; i++) long();
  const first = arrived().length;
  host.advance(2000);
  expect(first + arrived().length).toBe(60);
});

test.each([0, -1, Number.NaN])('a rate of %d is a mistake of the host', (bytes) => {
  expect(() => limited({ bytes, intervalUs: 1 })).toThrow(TypeError);
});
