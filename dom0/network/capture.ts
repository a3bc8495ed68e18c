/**
 * A capture in progress: to a file, or as a stream of bytes for whoever watches. It is bounded twice: by the bytes it may
 * make in all, after which it ends, and by those that wait for a slow disk or reader, beyond which packets are lost and
 * counted. The network never waits for it.
 */

import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { PassThrough, type Readable, type Writable } from 'node:stream';
import type { NetworkHost } from './host.js';
import { PcapngEncoder } from './pcapng.js';
import { type CapturedPacket, MAX_FRAME, type Switch, type SwitchPort } from './port.js';

const BACKLOG_BYTES = 8 * 1024 * 1024;
const DEFAULT_MAX_BYTES = 256 * 1024 * 1024;

export interface CaptureOptions {
  /** All ports if there is none. */
  readonly port?: SwitchPort | undefined;
  /** Bytes kept of each packet; all by default. */
  readonly snapLength?: number | undefined;
  /** Where the capture ends by itself. */
  readonly maxBytes?: number | undefined;
}

export interface Capture {
  readonly packets: number;
  readonly bytes: number;
  /** Packets lost because the reader was slow. */
  readonly dropped: number;
  readonly running: boolean;
  /** Ends it. Of a file: resolves once it is written. */
  stop(): Promise<void>;
}

export interface StreamCapture extends Capture {
  /** pcapng. Destroying it ends the capture. */
  readonly stream: Readable;
}

/** Rejects if the file cannot be opened. An error of the disk later on ends the capture. */
export async function captureToFile(
  network: Switch,
  host: NetworkHost,
  path: string,
  options: CaptureOptions = {},
): Promise<Capture> {
  const file = createWriteStream(path, { mode: 0o600 });
  await once(file, 'open');
  const written = new Promise<void>((resolve) => file.once('close', resolve));
  return new RunningCapture(network, host, { out: file, written }, options);
}

export function captureToStream(
  network: Switch,
  host: NetworkHost,
  options: CaptureOptions = {},
): StreamCapture {
  const stream = new PassThrough();
  const target = { out: stream, written: Promise.resolve() };
  return Object.assign(new RunningCapture(network, host, target, options), { stream });
}

interface Target {
  readonly out: Writable;
  /** Kept when all that was given to `out` has arrived, as far as that is worth waiting for. */
  readonly written: Promise<void>;
}

class RunningCapture implements Capture {
  packets = 0;
  bytes = 0;
  dropped = 0;
  running = true;
  readonly #host: NetworkHost;
  readonly #out: Writable;
  readonly #encoder: PcapngEncoder;
  readonly #maxBytes: number;
  readonly #written: Promise<void>;
  readonly #untap: () => void;

  constructor(network: Switch, host: NetworkHost, target: Target, options: CaptureOptions) {
    const { out } = target;
    this.#host = host;
    this.#out = out;
    this.#encoder = new PcapngEncoder(options.snapLength ?? MAX_FRAME);
    this.#maxBytes = options.maxBytes ?? DEFAULT_MAX_BYTES;
    this.#written = target.written;
    out.on('error', () => this.#end());
    out.once('close', () => this.#end());
    this.#write([this.#encoder.header()]);
    this.#untap = network.capture(options.port, (packet) => this.#take(packet));
  }

  async stop(): Promise<void> {
    if (this.running) this.#finish();
    await this.#written;
  }

  #take(packet: CapturedPacket): void {
    if (this.#out.writableLength > BACKLOG_BYTES) {
      this.dropped++;
      return;
    }
    this.packets++;
    this.#write(this.#encoder.packet(packet));
    if (this.bytes >= this.#maxBytes) this.#finish();
  }

  #finish(): void {
    const seen = this.packets + this.dropped;
    this.#write(this.#encoder.statistics(this.#host.wallClockNs(), seen, this.dropped));
    this.#end();
    this.#out.end();
  }

  #end(): void {
    this.running = false;
    this.#untap();
  }

  #write(blocks: readonly Uint8Array[]): void {
    for (const block of blocks) {
      this.bytes += block.length;
      this.#out.write(block);
    }
  }
}
