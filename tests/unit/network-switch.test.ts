/** The switch: where frames go, which it refuses, and what it counts. */

import { describe, expect, test } from 'vitest';
import { formatMac, parseMac } from '../../dom0/network/mac.js';
import type { SwitchPort } from '../../dom0/network/port.js';
import { LearningSwitch } from '../../dom0/network/switch.js';
import { FakeHost, frame, Station } from '../support/network.js';

const A = '00:16:3e:00:00:0a';
const B = '00:16:3e:00:00:0b';
const C = '00:16:3e:00:00:0c';
const ALL = 'ff:ff:ff:ff:ff:ff';

/** Three stations on one switch; only their ports' names are known to it. */
function three() {
  const host = new FakeHost();
  const network = new LearningSwitch('xenbr0', host);
  const stations = ['a', 'b', 'c'].map((name) => {
    const station = new Station(name);
    return { station, port: network.attach(station, { antiSpoof: false }) };
  });
  const [a, b, c] = stations as [Member, Member, Member];
  return {
    host,
    network,
    a,
    b,
    c,
    heard: () => stations.map(({ station }) => station.take().length),
  };
}
interface Member {
  readonly station: Station;
  readonly port: SwitchPort;
}

describe('forwarding', () => {
  test('a frame for an address nobody was seen with goes to all but its sender', () => {
    const { a, heard } = three();
    a.port.send(frame(B, A));
    expect(heard()).toEqual([0, 1, 1]);
  });

  test('an address that was seen is served alone, and follows its station to another port', () => {
    const { a, b, c, heard } = three();
    b.port.send(frame(ALL, B));
    expect(heard()).toEqual([1, 0, 1]);
    a.port.send(frame(B, A));
    expect(heard()).toEqual([0, 1, 0]);
    c.port.send(frame(ALL, B));
    expect(heard()).toEqual([1, 1, 0]);
    a.port.send(frame(B, A));
    expect(heard()).toEqual([0, 0, 1]);
  });

  test('an address not seen for five minutes is flooded again', () => {
    const { host, a, b, heard } = three();
    b.port.send(frame(ALL, B));
    heard();
    host.advance(299_000);
    a.port.send(frame(B, A));
    expect(heard()).toEqual([0, 1, 0]);
    host.advance(2000);
    a.port.send(frame(B, A));
    expect(heard()).toEqual([0, 1, 1]);
  });

  test("multicast goes to all others, the link's own group addresses to nobody", () => {
    const { a, heard } = three();
    a.port.send(frame('33:33:00:00:00:01', A));
    expect(heard()).toEqual([0, 1, 1]);
    a.port.send(frame('01:80:c2:00:00:00', A));
    expect(heard()).toEqual([0, 0, 0]);
    expect(a.port.counters.drops['no-route']).toBe(1);
  });

  test('a frame for a station behind the same port goes nowhere', () => {
    const { a, heard } = three();
    a.port.send(frame(ALL, A));
    heard();
    a.port.send(frame(A, B));
    expect(heard()).toEqual([0, 0, 0]);
  });

  test('a port that is closed neither sends nor receives, and its addresses are forgotten', () => {
    const { a, b, heard } = three();
    b.port.send(frame(ALL, B));
    heard();
    b.port.close();
    b.port.send(frame(A, B));
    a.port.send(frame(B, A));
    expect(heard()).toEqual([0, 0, 1]);
  });

  test('a port that invents addresses forgets its own, not those of others', () => {
    const { a, b, heard } = three();
    b.port.send(frame(ALL, B));
    for (let i = 0; i < 5000; i++) a.port.send(frame(B, `02:00:00:00:${hex(i >> 8)}:${hex(i)}`));
    heard();
    a.port.send(frame(B, A));
    expect(heard()).toEqual([0, 1, 0]);
  });
});

describe('captures', () => {
  test('show a port both ways, or all ports with each frame once, until they are stopped', () => {
    const { network, a, b } = three();
    const [one, all]: [string[], string[]] = [[], []];
    const stop = network.capture(b.port, ({ port, direction }) => one.push(`${port} ${direction}`));
    network.capture(undefined, ({ port, direction }) => all.push(`${port} ${direction}`));
    a.port.send(frame(B, A));
    b.port.send(frame(A, B));
    stop();
    a.port.send(frame(B, A));
    expect(one).toEqual(['b received', 'b sent']);
    expect(all).toEqual(['a sent', 'b sent', 'a sent']);
  });
});

describe('refusals', () => {
  // biome-ignore format: one row per frame
  test.each([
    // what                                    frame                                  reason
    ['empty',                                  new Uint8Array(0),                     'truncated'],
    ['shorter than a header',                  new Uint8Array(13).fill(2),            'truncated'],
    ['longer than any frame',                  new Uint8Array(65_550).fill(2),        'too-long'],
    ['from a group address',                   frame(B, '01:00:5e:00:00:01').bytes,   'spoofed'],
    ['from no address',                        frame(B, '00:00:00:00:00:00').bytes,   'spoofed'],
    ['from an address that is not the port\'s', frame(C, B).bytes,                    'spoofed'],
  ] as const)('a frame %s is dropped and counted', (_what, bytes, reason) => {
    const network = new LearningSwitch('xenbr0', new FakeHost());
    const other = new Station('b');
    network.attach(other, { antiSpoof: false });
    const port = network.attach(new Station('a'), { antiSpoof: true, mac: A });
    port.send({ bytes });
    expect(other.take()).toEqual([]);
    expect(port.counters.drops[reason]).toBe(1);
    expect(port.counters.sent.frames).toBe(0);
  });

  test('a port without a fixed address cannot take that of another', () => {
    const network = new LearningSwitch('xenbr0', new FakeHost());
    const victim = new Station('a');
    network.attach(victim, { antiSpoof: true, mac: A });
    const thief = network.attach(new Station('b'), { antiSpoof: false });
    thief.send(frame(ALL, A));
    expect(thief.counters.drops.spoofed).toBe(1);
    thief.send(frame(A, B));
    expect(victim.take()).toHaveLength(1);
  });

  test('a receiver that is full costs the frame, which is counted where it was lost', () => {
    const { a, b } = three();
    b.station.full = true;
    a.port.send(frame(B, A));
    expect(b.port.counters.drops.full).toBe(1);
    expect(b.port.counters.received.frames).toBe(0);
  });

  test('mistakes of the host are exceptions', () => {
    const network = new LearningSwitch('xenbr0', new FakeHost());
    const station = new Station('a');
    expect(() => network.attach(station, { antiSpoof: true })).toThrow(/antiSpoof needs a mac/);
    expect(() => network.attach(station, { antiSpoof: true, mac: 'x' })).toThrow(/not a MAC/);
    expect(() => network.attach(station, { antiSpoof: true, mac: ALL })).toThrow(/not a MAC/);
    network.attach(station, { antiSpoof: true, mac: A });
    expect(() => network.attach(station, { antiSpoof: true, mac: A })).toThrow(/another port/);
  });
});

test('addresses are written as they were read', () => {
  for (const mac of [A, '00:00:00:00:00:01', 'fe:ff:ff:ff:ff:ff']) {
    expect(formatMac(parseMac(mac))).toBe(mac);
  }
  expect(formatMac(parseMac('00-16-3E-AB-cd-ef'))).toBe('00:16:3e:ab:cd:ef');
});

function hex(byte: number): string {
  return (byte & 0xff).toString(16).padStart(2, '0');
}
