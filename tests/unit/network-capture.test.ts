/** Captures, read back by the real tshark: names of ports, times, checksums; and what bounds them. */

import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { type CaptureOptions, captureToFile, captureToStream } from '../../dom0/network/capture.js';
import { LearningSwitch } from '../../dom0/network/switch.js';
import { FakeHost, frame, Station } from '../support/network.js';
import { ethernet, ip, ip6, ipv4, ipv6, tcp, udp } from '../support/packets.js';
import { testWithPeer } from '../support/peer.js';

const A = '00:16:3e:00:00:0a';
const B = '00:16:3e:00:00:0b';
const folder = mkdtempSync(join(tmpdir(), 'xenolith-capture-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Two guests on a switch. */
function two() {
  const host = new FakeHost();
  const network = new LearningSwitch('xenbr0', host);
  const a = network.attach(new Station('vif1.0'), { antiSpoof: true, mac: A });
  const b = network.attach(new Station('vif2.0'), { antiSpoof: true, mac: B });
  return { host, network, a, b };
}

/** What tshark says of a capture: one row per packet. */
function tshark(path: string, ...fields: readonly string[]): string[][] {
  const checks = ['ip', 'tcp', 'udp'].flatMap((name) => ['-o', `${name}.check_checksum:TRUE`]);
  const columns = fields.flatMap((field) => ['-e', field]);
  const args = ['-n', '-r', path, ...checks, '-T', 'fields', '-E', 'separator=|', ...columns];
  const out = execFileSync('tshark', args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  return out
    .trimEnd()
    .split('\n')
    .map((line) => line.split('|'));
}

const GOOD = '1';
const testWithTshark = (name: string, body: () => Promise<void>) =>
  testWithPeer('tshark', ['/usr/bin/tshark'], name, body);

describe('tshark reads', () => {
  testWithTshark('names of ports, directions and nanoseconds', async () => {
    const { host, network, a, b } = two();
    const path = join(folder, 'names.pcapng');
    const capture = await captureToFile(network, host, path, { port: a });
    host.advance(0.000_001);
    a.send(frame(B, A));
    host.advance(1500);
    b.send(frame(A, B));
    await capture.stop();
    const inbound = '0x00000001';
    const outbound = '0x00000002';
    const fields = ['frame.interface_name', 'frame.time_epoch', 'frame.packet_flags', 'eth.src'];
    expect(tshark(path, ...fields)).toEqual([
      ['vif1.0', '1700000000.000000001', inbound, A],
      ['vif1.0', '1700000001.500000001', outbound, B],
    ]);
  });

  testWithTshark('right checksums of frames whose checksums were blank, cut or not', async () => {
    const { host, network, a, b } = two();
    const path = join(folder, 'checksums.pcapng');
    const capture = await captureToFile(network, host, path);
    const atB = await captureToFile(network, host, `${path}.b`, { port: b });
    for (const bytes of blankFrames()) a.send({ bytes, checksumBlank: true });
    a.send({ bytes: longFrame(), checksumBlank: true, gso: { kind: 'tcpv4', size: 1000 } });
    await Promise.all([capture.stop(), atB.stop()]);
    const fields = ['tcp.checksum.status', 'udp.checksum.status', 'frame.len'];
    expect(tshark(path, ...fields)).toEqual([
      [GOOD, '', '58'],
      ['', GOOD, '46'],
      [GOOD, '', '78'],
      [GOOD, '', '5058'],
    ]);
    expect(
      tshark(`${path}.b`, 'tcp.checksum.status', 'ip.checksum.status', 'frame.len').slice(3),
    ).toEqual([1054, 1054, 1054, 1054, 1054, 58].map((length) => [GOOD, GOOD, `${length}`]));
  });

  testWithTshark('packets cut to the snap length, with their real length', async () => {
    const { host, network, a } = two();
    const path = join(folder, 'snap.pcapng');
    const capture = await captureToFile(network, host, path, { snapLength: 61 });
    a.send(frame(B, A, new Uint8Array(986)));
    await capture.stop();
    expect(tshark(path, 'frame.cap_len', 'frame.len')).toEqual([['61', '1000']]);
  });

  testWithTshark('a stream just as a file', async () => {
    const { host, network, a } = two();
    const { stream, stop } = captured(network, host);
    a.send(frame(B, A));
    await stop();
    const path = join(folder, 'stream.pcapng');
    writeFileSync(path, Buffer.concat(await stream.toArray()));
    expect(tshark(path, 'frame.interface_name', 'frame.len')).toEqual([['vif1.0', '60']]);
  });
});

describe('a capture', () => {
  test('ends by itself at its bound', async () => {
    const { host, network, a } = two();
    const path = join(folder, 'bound.pcapng');
    const capture = await captureToFile(network, host, path, { maxBytes: 10_000 });
    for (let i = 0; i < 100; i++) a.send(frame(B, A, new Uint8Array(986)));
    expect(capture.running).toBe(false);
    expect(capture.packets).toBe(10);
    await capture.stop();
    expect(readFileSync(path).length).toBe(capture.bytes);
  });

  test('loses packets, and counts them, rather than wait for its reader', async () => {
    const { host, network, a } = two();
    const { capture, stop } = captured(network, host);
    for (let i = 0; i < 300; i++) a.send(frame(B, A, new Uint8Array(60_000)));
    expect(capture.packets + capture.dropped).toBe(300);
    expect(capture.dropped).toBeGreaterThan(100);
    capture.stream.destroy();
    await stop();
  });

  test('ends when its reader leaves', async () => {
    const { host, network, a } = two();
    const { capture } = captured(network, host);
    capture.stream.destroy();
    await once(capture.stream, 'close');
    a.send(frame(B, A));
    expect([capture.running, capture.packets]).toEqual([false, 0]);
  });

  test('to a file that cannot be opened is refused', async () => {
    const { host, network } = two();
    await expect(captureToFile(network, host, join(folder, 'no/such'))).rejects.toThrow(/ENOENT/);
  });
});

function captured(network: LearningSwitch, host: FakeHost, options: CaptureOptions = {}) {
  const capture = captureToStream(network, host, options);
  return { capture, stream: capture.stream, stop: () => capture.stop() };
}

/** A TCP segment over either IP and a UDP datagram, each with a wrong checksum. */
function blankFrames(): Uint8Array[] {
  const addresses = [...ip('10.0.2.15'), ...ip('10.0.2.16')];
  const addresses6 = [...ip6('fe80::1'), ...ip6('fe80::2')];
  const fields = { from: 1, to: 2, seq: 3, flags: 0x10 };
  const data = Uint8Array.of(1, 2, 3, 4);
  const in4 = (protocol: number, payload: Uint8Array) =>
    ethernet(B, A, 0x0800, ipv4({ from: '10.0.2.15', to: '10.0.2.16', protocol }, payload));
  const frames: [Uint8Array, number][] = [
    [in4(6, tcp(addresses, fields, data)), 50],
    [in4(17, udp(addresses, 1, 2, data)), 40],
    [ethernet(B, A, 0x86dd, ipv6('fe80::1', 'fe80::2', 6, tcp(addresses6, fields, data))), 70],
  ];
  for (const [bytes, field] of frames) bytes.set([0xba, 0xd0], field);
  return frames.map(([bytes]) => bytes);
}

function longFrame(): Uint8Array {
  const addresses = [...ip('10.0.2.15'), ...ip('10.0.2.16')];
  const segment = tcp(addresses, { from: 1, to: 2, seq: 3, flags: 0x18 }, new Uint8Array(5004));
  return ethernet(B, A, 0x0800, ipv4({ from: '10.0.2.15', to: '10.0.2.16', protocol: 6 }, segment));
}
