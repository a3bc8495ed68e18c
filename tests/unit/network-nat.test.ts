/** The NAT against guests played by the test: DHCP as transcripts, who may use which address, bounds, and any bytes. */

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DHCP_OPTION, DHCP_TYPE } from '../../dom0/network/dhcp.js';
import { createNetwork, type NetworkOptions } from '../../dom0/network/network.js';
import { FakeHost, macBytes, Station } from '../support/network.js';
import { ethernet, ip, ipv4, tcp, udp } from '../support/packets.js';

const A = '00:16:3e:00:00:0a';
const B = '00:16:3e:00:00:0b';
const NAT = '52:55:0a:00:02:02';
const ALL = 'ff:ff:ff:ff:ff:ff';

function guests(options: NetworkOptions = {}) {
  const host = new FakeHost();
  // Nothing of these tests leaves the machine: what a guest may not reach is refused, echo is answered by nobody.
  const echo = async () => 'unable' as const;
  const network = createNetwork({ host, echo, policy: () => false, ...options });
  const attach = (mac: string) => {
    const station = new Station(mac);
    const port = network.switch('xenbr0').attach(station, { antiSpoof: true, mac });
    const packet = (type: number, bytes: Uint8Array | readonly number[], to = NAT) => {
      station.take(); // what others have told all
      port.send({ bytes: ethernet(to, mac, type, bytes) });
      host.settle();
      return station.take().map(({ bytes: answer }) => answer);
    };
    return { station, port, packet, dhcp: dhcpClient(mac, packet) };
  };
  return { host, network, a: attach(A), b: attach(B) };
}

type Ask = (type: number, fields?: { ciaddr?: string; want?: string; server?: string }) => string[];

/** @returns what the server answers: "OFFER 10.0.2.15". */
function dhcpClient(
  mac: string,
  packet: (type: number, bytes: Uint8Array, to?: string) => Uint8Array[],
): Ask {
  return (type, { ciaddr = '0.0.0.0', want, server } = {}) => {
    const option = (code: number, value: string | undefined) =>
      value === undefined ? [] : [code, 4, ...ip(value)];
    const message = new Uint8Array(300);
    message.set([1, 1, 6, 0, 1, 2, 3, 4]);
    message.set(ip(ciaddr), 12);
    message.set(macBytes(mac), 28);
    message.set([0x63, 0x82, 0x53, 0x63, DHCP_OPTION.TYPE, 1, type], 236);
    const wishes = [
      ...option(DHCP_OPTION.REQUESTED_ADDRESS, want),
      ...option(DHCP_OPTION.SERVER, server),
    ];
    message.set([...wishes, 255], 243);
    const to = '255.255.255.255';
    const datagram = udp([...ip(ciaddr), ...ip(to)], 68, 67, message);
    return packet(0x0800, ipv4({ from: ciaddr, to, protocol: 17 }, datagram), ALL).map((frame) => {
      const name = Object.entries(DHCP_TYPE).find(([, number]) => number === frame[42 + 242])?.[0];
      return `${name} ${frame.slice(42 + 16, 42 + 20).join('.')}`;
    });
  };
}

const { DISCOVER, REQUEST, RELEASE, DECLINE, INFORM } = DHCP_TYPE;
const SERVER = '10.0.2.2';

describe('DHCP', () => {
  test('a transcript: two guests, a reboot, a renewal, a mistake, a release', () => {
    const { a, b } = guests();
    expect(a.dhcp(DISCOVER)).toEqual(['OFFER 10.0.2.15']);
    expect(b.dhcp(DISCOVER)).toEqual(['OFFER 10.0.2.16']);
    expect(a.dhcp(REQUEST, { want: '10.0.2.15', server: SERVER })).toEqual(['ACK 10.0.2.15']);
    expect(b.dhcp(REQUEST, { want: '10.0.2.15', server: SERVER })).toEqual(['NAK 0.0.0.0']);
    expect(b.dhcp(REQUEST, { want: '10.0.2.16', server: '10.0.2.77' })).toEqual([]); // not to us
    expect(b.dhcp(REQUEST, { want: '10.0.2.16', server: SERVER })).toEqual(['ACK 10.0.2.16']);
    expect(a.dhcp(REQUEST, { want: '10.0.2.15' })).toEqual(['ACK 10.0.2.15']); // it has rebooted
    expect(a.dhcp(REQUEST, { want: '192.168.1.5' })).toEqual(['NAK 0.0.0.0']); // from another network
    expect(a.dhcp(REQUEST, { ciaddr: '10.0.2.15' })).toEqual(['ACK 10.0.2.15']); // it renews
    expect(a.dhcp(INFORM, { ciaddr: '10.0.2.15' })).toEqual(['ACK 0.0.0.0']);
    expect(a.dhcp(RELEASE, { ciaddr: '10.0.2.15' })).toEqual([]);
    expect(a.dhcp(DISCOVER)).toEqual(['OFFER 10.0.2.15']); // and has it again
  });

  test('an address that a guest finds in use is not offered again for a while', () => {
    const { host, a } = guests();
    a.dhcp(DISCOVER);
    a.dhcp(DECLINE, { want: '10.0.2.15', server: SERVER });
    expect(a.dhcp(DISCOVER)).toEqual(['OFFER 10.0.2.16']);
    host.advance(700_000);
    expect(a.dhcp(DISCOVER, { want: '10.0.2.15' })).toEqual(['OFFER 10.0.2.16']); // its own, now
  });

  test('an offer nobody takes is free for another after a minute, if there is no other', () => {
    const { host, network, a, b } = guests({ network: '10.0.2.0/27' });
    for (let last = 16; last <= 30; last++) {
      network.reserve(`02:00:00:00:00:${last.toString(16).padStart(2, '0')}`, `10.0.2.${last}`);
    }
    expect(a.dhcp(DISCOVER)).toEqual(['OFFER 10.0.2.15']);
    expect(b.dhcp(DISCOVER)).toEqual([]);
    host.advance(61_000);
    expect(b.dhcp(DISCOVER)).toEqual(['OFFER 10.0.2.15']);
  });
});

describe('addresses', () => {
  const arp = (from: string, mac: string, about: string) => [
    0,
    1,
    8,
    0,
    6,
    4,
    0,
    1,
    ...macBytes(mac),
    ...ip(from),
    0,
    0,
    0,
    0,
    0,
    0,
    ...ip(about),
  ];
  const isReply = (frames: Uint8Array[]) => frames.map((frame) => frame[21] === 2);

  test('the gateway and the DNS server answer ARP, nobody else', () => {
    const { a } = guests();
    const asked = ['10.0.2.2', '10.0.2.3', '10.0.2.4', '10.0.2.15'];
    const answers = asked.map((about) =>
      isReply(a.packet(0x0806, arp('10.0.2.15', A, about), ALL)),
    );
    expect(answers).toEqual([[true], [true], [], []]);
  });

  test("an address leased to one guest is not another's to use", () => {
    const { network, a, b } = guests();
    a.dhcp(DISCOVER);
    a.dhcp(REQUEST, { want: '10.0.2.15', server: SERVER });
    expect(b.packet(0x0806, arp('10.0.2.15', B, '10.0.2.2'), ALL)).toEqual([]);
    expect(b.packet(0x0800, syn('10.0.2.15', '10.0.2.2', 80))).toEqual([]);
    expect(network.natDrops['spoofed']).toBe(2);
    expect(a.packet(0x0806, arp('10.0.2.15', A, '10.0.2.2'), ALL)).toHaveLength(1);
  });
});

const syn = (from: string, to: string, port: number) =>
  ipv4(
    { from, to, protocol: 6 },
    tcp([...ip(from), ...ip(to)], { from: 1234, to: port, seq: 1, flags: 2 }),
  );

describe('what may not be reached', () => {
  // biome-ignore format: one row per address
  test.each([
    '0.0.0.1', '127.0.0.1', '127.255.255.255', '169.254.169.254', '10.0.2.77', '8.8.8.8',
  ])('%s answers with "administratively prohibited"', (to) => {
    const { a } = guests();
    const [frame] = a.packet(0x0800, syn('10.0.2.15', to, 80));
    expect([...(frame?.slice(23, 24) ?? []), ...(frame?.slice(34, 36) ?? [])]).toEqual([1, 3, 13]);
  });

  test('a segment of no connection is answered with a reset', () => {
    const { a } = guests();
    const addresses = [...ip('10.0.2.15'), ...ip('10.0.2.2')];
    const segment = tcp(addresses, { from: 9, to: 80, seq: 5, ack: 77, flags: 0x10 });
    const fields = { from: '10.0.2.15', to: '10.0.2.2', protocol: 6 };
    const [reset] = a.packet(0x0800, ipv4(fields, segment));
    expect([reset?.[47], ...(reset?.slice(38, 42) ?? [])]).toEqual([4, 0, 0, 0, 77]);
  });

  test('a packet whose checksum is wrong is dropped and counted', () => {
    const { network, a } = guests();
    const packet = syn('10.0.2.15', '8.8.8.8', 80);
    packet[36] = 0x55;
    expect(a.packet(0x0800, packet)).toEqual([]);
    expect(network.natDrops['checksum']).toBe(1);
  });

  test('a packet that has run out of hops says so', () => {
    const { a } = guests();
    const fields = { from: '10.0.2.15', to: '8.8.8.8', protocol: 17, ttl: 1 };
    const datagram = udp([...ip(fields.from), ...ip(fields.to)], 1, 33_434, new Uint8Array(8));
    const [frame] = a.packet(0x0800, ipv4(fields, datagram));
    expect(frame?.slice(34, 36)).toEqual(Uint8Array.of(11, 0));
  });
});

test('no bytes make the NAT throw, or keep a timer or a connection', async () => {
  const addresses = [...ip('10.0.2.15'), ...ip('10.0.2.2')];
  const from = { from: '10.0.2.15', to: '10.0.2.2' };
  const seeds: readonly (readonly [number, Uint8Array])[] = [
    [0x0800, syn('10.0.2.15', '8.8.8.8', 80)],
    [0x0800, ipv4({ ...from, protocol: 17 }, udp(addresses, 5, 9, new Uint8Array(30)))],
    [0x0800, ipv4({ ...from, protocol: 17, fragment: 0x2000 }, new Uint8Array(32))],
    [0x0800, ipv4({ ...from, protocol: 17 }, udp(addresses, 68, 67, new Uint8Array(300)))],
    [0x0800, ipv4({ ...from, protocol: 1 }, Uint8Array.of(8, 0, 0xf7, 0xff, 0, 0, 0, 0))],
    [0x0806, new Uint8Array(28).fill(1)],
    [0x86dd, new Uint8Array(60).fill(0x60)],
  ];
  const { network, host, a } = guests();
  const mutation = fc.tuple(
    fc.constantFrom(...seeds),
    fc.array(fc.tuple(fc.nat(90), fc.nat(255)), { maxLength: 6 }),
    fc.nat(360),
    fc.boolean(),
  );
  fc.assert(
    fc.property(mutation, ([[type, seed], changes, length, checksumBlank]) => {
      const bytes = ethernet(NAT, A, type, seed.slice(0, length));
      for (const [at, value] of changes) if (14 + at < bytes.length) bytes[14 + at] = value;
      a.port.send({ bytes, checksumBlank });
      host.settle();
      for (const { bytes: answer } of a.station.take()) expect(answer.length).toBeLessThan(1515);
    }),
    { numRuns: 5000 },
  );
  expect(network.connections()).toEqual([]);
  await network.close();
  expect(host.waiting).toBe(0);
});
