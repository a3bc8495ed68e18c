/**
 * Linux's own network stack as a guest of the switch: a TAP device in a network namespace, with checksum and segmentation
 * offload, so it exchanges the same long and blank frames as a guest with netfront does.
 */

import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { layoutOf } from '../../dom0/network/frame-layout.js';
import type { Frame, PortCapabilities, PortOwner, SwitchPort } from '../../dom0/network/port.js';
import { testWithPeer } from './peer.js';

const BUSYBOX = '/bin/busybox';
const TUN = '/dev/net/tun';
const VNET_HEADER = 10;
const NEEDS_CHECKSUM = 1;
const GSO_TCPV4 = 1;
const GSO_TCPV6 = 4;
/** Bytes that may wait for the kernel: about what a receive ring holds. */
const RING_BYTES = 1024 * 1024;

const namespace = process.getuid?.() === 0 ? ['--net'] : ['--map-root-user', '--net'];
let built: string | undefined;
let allowed: boolean | undefined;

/** Compiles the helper, once. */
function helper(): string {
  if (built) return built;
  const folder = mkdtempSync(join(tmpdir(), 'xenolith-tap-'));
  built = join(folder, 'tap');
  execFileSync('cc', ['-O2', '-Wall', '-o', built, join(import.meta.dirname, 'tap.c')]);
  writeFileSync(join(folder, 'udhcpc'), UDHCPC);
  chmodSync(join(folder, 'udhcpc'), 0o755);
  process.once('exit', () => spawnSync('rm', ['-rf', folder]));
  return built;
}

/** What busybox's DHCP client does with a lease. */
const UDHCPC = `#!/bin/busybox sh
[ "$1" = bound ] || exit 0
busybox ip addr add $ip/$mask dev $interface
busybox ip route add default via $router
echo "lease ip=$ip/$mask router=$router dns=$dns mtu=$mtu hostname=$hostname lease=$lease"
`;

/** `test` where a namespace with a TAP device can be had; elsewhere as for any peer that is missing. */
export function testWithKernel(name: string, body: () => Promise<void>): void {
  const files = ['/usr/bin/cc', '/usr/bin/perl', BUSYBOX, '/usr/bin/unshare', TUN, namespaceFile()];
  testWithPeer('gcc, busybox-static', files, name, body);
}

/** A file that exists where this user may make network namespaces: not in every container. */
function namespaceFile(): string {
  allowed ??= spawnSync('unshare', [...namespace, 'true']).status === 0;
  return allowed ? '/proc/self/ns/net' : '(leave to make a network namespace)';
}

export interface KernelResult {
  readonly code: number | null;
  readonly out: string;
}

/** Loss and disorder for a test to play with: which frames go on, and when. */
export type Mischief = (frame: Frame, pass: (frame: Frame) => void) => void;

export class KernelGuest implements PortOwner {
  readonly name: string;
  readonly mac: string;
  can: PortCapabilities = { checksum: true, gsoTcp4: true, gsoTcp6: true, maxFrame: 1514 };
  /** Applied to what the guest sends, and to what it receives. */
  mischief: { readonly out?: Mischief; readonly in?: Mischief } = {};
  #wire: Duplex | undefined;
  #port: SwitchPort | undefined;

  constructor(name: string, mac: string) {
    this.name = name;
    this.mac = mac;
  }

  attachTo(port: SwitchPort): void {
    this.#port = port;
  }

  capabilities(): PortCapabilities {
    return this.can;
  }

  receive(frame: Frame): boolean {
    const wire = this.#wire;
    if (!wire || wire.writableLength > RING_BYTES) return false;
    const pass = ({ bytes, checksumBlank, gso }: Frame) =>
      wire.write(encode(bytes, checksumBlank, gso));
    if (this.mischief.in) this.mischief.in({ ...frame, bytes: new Uint8Array(frame.bytes) }, pass);
    else pass(frame);
    return true;
  }

  /** Runs a shell script where eth0 is the guest's card, up and without an address. */
  run(script: string): Promise<KernelResult> {
    const tap = helper();
    const prepare = `busybox ip link set lo up; busybox ip link set eth0 address ${this.mac} up; `;
    const dhcp = `dhcp() { busybox udhcpc -i eth0 -f -q -n -t 5 -T 1 -s ${tap.replace(/tap$/, 'udhcpc')} "$@" 2>/dev/null; }; `;
    const command = [tap, 'eth0', BUSYBOX, 'sh', '-c', prepare + dhcp + script];
    const child = spawn('unshare', [...namespace, ...command], {
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    });
    const wire = child.stdio[3] as Duplex;
    this.#wire = wire;
    let held: Buffer = Buffer.alloc(0);
    wire.on('data', (chunk: Buffer) => {
      held = this.#takeFrames(held.length === 0 ? chunk : Buffer.concat([held, chunk]));
    });
    wire.on('error', () => undefined);
    let out = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        out += chunk.toString();
      });
    }
    return new Promise((resolve) => {
      child.once('close', (code) => {
        this.#wire = undefined;
        resolve({ code, out });
      });
    });
  }

  #takeFrames(bytes: Buffer): Buffer {
    let at = 0;
    while (bytes.length - at >= 4) {
      const size = bytes.readUInt32LE(at);
      if (bytes.length - at < 4 + size) break;
      const frame = decode(bytes.subarray(at + 4, at + 4 + size));
      at += 4 + size;
      const pass = (passed: Frame) => this.#port?.send(passed);
      if (this.mischief.out)
        this.mischief.out({ ...frame, bytes: new Uint8Array(frame.bytes) }, pass);
      else pass(frame);
    }
    return bytes.subarray(at);
  }
}

function decode(message: Buffer): Frame {
  const [flags, type] = [message.readUInt8(0), message.readUInt8(1) & 0x7f];
  const size = message.readUInt16LE(4);
  const kind = type === GSO_TCPV4 ? 'tcpv4' : 'tcpv6';
  return {
    bytes: message.subarray(VNET_HEADER),
    checksumBlank: (flags & NEEDS_CHECKSUM) !== 0,
    gso: type === 0 ? undefined : { kind, size },
  };
}

function encode(bytes: Uint8Array, blank: boolean | undefined, gso: Frame['gso']): Buffer {
  const message = Buffer.alloc(4 + VNET_HEADER + bytes.length);
  message.writeUInt32LE(VNET_HEADER + bytes.length, 0);
  const layout = blank ? layoutOf(bytes) : undefined;
  if (layout) {
    message.writeUInt8(NEEDS_CHECKSUM, 4);
    message.writeUInt16LE(layout.transport, 10);
    message.writeUInt16LE(layout.protocol === 6 ? 16 : 6, 12);
  }
  if (gso && layout) {
    message.writeUInt8(gso.kind === 'tcpv4' ? GSO_TCPV4 : GSO_TCPV6, 5);
    const header = ((bytes[layout.transport + 12] ?? 0) >> 4) * 4;
    message.writeUInt16LE(layout.transport + header, 6);
    message.writeUInt16LE(gso.size, 8);
  }
  message.set(bytes, 4 + VNET_HEADER);
  return message;
}
