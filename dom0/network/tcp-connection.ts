/**
 * One TCP connection with a guest, in which we play the other end: no sockets here, only segments in and out.
 * Spec: RFC 9293 §3.10 (event processing), RFC 5961 (challenge ACKs); RFC 7323 §2 (window scale). No SACK, no timestamps.
 *
 *   opening ── answer() ──▶ syn-received ─┐
 *   (SYN came; whether we                 ├─▶ established ─▶ time-wait ─▶ closed
 *    answer is not known)                 │   (until both FINs
 *   connect() ────────────▶ syn-sent ─────┘    are acknowledged)
 */

import type { ByteRing } from './byte-ring.js';
import type { NetworkHost } from './host.js';
import { TCP, TCP_FLAG } from './protocols.js';
import { TcpReceiver } from './tcp-receiver.js';
import { encodeSynOptions, type TcpHeader, type TcpSegment } from './tcp-segment.js';
import { TcpSender } from './tcp-sender.js';

const { ACK, FIN, PSH, RST, SYN } = TCP_FLAG;

/** Bytes taken from the guest before who gets them lets some go. */
const RECEIVE_BUFFER = 256 * 1024;
/** So a window of 256 KiB fits into 16 bits. */
const WINDOW_SCALE = 4;
const MAX_WINDOW = 0xffff;
/** Milliseconds: how long a silent peer is left alone, how often it is then asked, how often without an answer. */
const KEEPALIVE = { IDLE: 300_000, INTERVAL: 30_000, PROBES: 4 } as const;
/** Milliseconds in which a late FIN is acknowledged again, whoever sent its own first. The wire has no length. */
const TIME_WAIT = 1000;
/** Length field of IP. */
const MAX_PACKET = 0xffff;
/** RFC 9293 §3.7.1: of a peer that does not say; and no less than Linux asks for, whatever it says. */
const DEFAULT_MSS = 536;
const LEAST_MSS = 48;
const NO_OPTIONS = new Uint8Array(0);

export type TcpState =
  | 'opening'
  | 'syn-sent'
  | 'syn-received'
  | 'established'
  | 'time-wait'
  | 'closed';

/** A segment to be sent: its data is `length` bytes of `ring` from `from` on, to be copied in the call. */
export interface OutgoingSegment extends TcpHeader {
  readonly ring: ByteRing;
  readonly from: number;
  readonly length: number;
  /** Bytes of data the peer takes in one segment; a longer one is to be cut. */
  readonly mss: number;
}

export interface TcpUser {
  /** The handshake is done. */
  connected(): void;
  /** The next bytes from the peer, valid during the call; `release` lets the peer send as many more. */
  data(bytes: Uint8Array): void;
  /** The peer will send no more. */
  ended(): void;
  /** Bytes given to `send` have been acknowledged: `queued` has gone down. */
  drained(): void;
  /** Nothing more will happen. Called once, unless the user itself aborted. */
  closed(reason: 'done' | 'reset' | 'timeout'): void;
}

export interface TcpOptions {
  readonly host: NetworkHost;
  readonly user: TcpUser;
  readonly transmit: (segment: OutgoingSegment) => void;
  /** Bytes of an IP packet that go to the peer uncut. */
  readonly mtu: number;
}

export class TcpConnection {
  readonly #host: NetworkHost;
  readonly #user: TcpUser;
  readonly #transmit: (segment: OutgoingSegment) => void;
  readonly #mss: number;
  #peerMss: number = DEFAULT_MSS;
  /** Our first sequence number, and the peer's. */
  readonly #iss: number;
  #irs = 0;
  readonly #sender: TcpSender;
  readonly #receiver: TcpReceiver;
  #state: TcpState = 'opening';
  #scales: { readonly ours: number; readonly theirs: number } | undefined;
  /** Offset and acknowledgement of the segment that last told the peer's window: RFC 9293's WL1 and WL2. */
  #windowFrom = { seq: 0, ack: 0 };
  #ackDue = false;
  #ackScheduled = false;
  #lastHeard: number;
  #probes = 0;
  #cancelTimer: (() => void) | undefined;

  constructor({ host, user, transmit, mtu }: TcpOptions) {
    this.#host = host;
    this.#user = user;
    this.#transmit = transmit;
    this.#mss = mtu - 20 - TCP.SIZE;
    this.#iss = host.random(2 ** 32);
    this.#lastHeard = host.now();
    this.#sender = new TcpSender(host, {
      transmit: (offset, length, fin) => this.#send(offset, length, fin),
      gaveUp: () => this.#fail('timeout'),
    });
    this.#receiver = new TcpReceiver(
      {
        data: (bytes) => this.#state !== 'closed' && user.data(bytes),
        ended: () => this.#state !== 'closed' && user.ended(),
      },
      RECEIVE_BUFFER,
    );
  }

  get state(): TcpState {
    return this.#state;
  }

  /** Bytes given to `send` that the peer has not acknowledged. */
  get queued(): number {
    return this.#sender.ring.length;
  }

  /** Opens towards the peer. */
  connect(): void {
    this.#state = 'syn-sent';
    this.#sender.sendSyn();
  }

  /** Remembers the peer's SYN; nothing is sent before `answer` or `abort`. */
  open(syn: TcpSegment): void {
    this.#learn(syn);
  }

  /** Answers the SYN that opened it. */
  answer(): void {
    if (this.#state !== 'opening') return;
    this.#state = 'syn-received';
    this.#sender.sendSyn();
  }

  /** Queues bytes, which are copied. The caller watches `queued`. */
  send(bytes: Uint8Array): void {
    if (this.#state !== 'closed') this.#sender.queue(bytes);
  }

  /** No more bytes will be sent: FIN. */
  end(): void {
    if (this.#state !== 'closed') this.#sender.queueFin();
  }

  /** Bytes of `data` are used up. */
  release(count: number): void {
    if (this.#receiver.release(count) && this.#state === 'established') this.#sendAck();
  }

  /** RST, and silence: the user is not told. */
  abort(): void {
    if (this.#state === 'closed') return;
    const { next } = this.#sender;
    const known = this.#state !== 'syn-sent';
    this.#close();
    if (known) this.#emit(RST | ACK, next, 0);
  }

  /** Silence at once: neither side is told. */
  vanish(): void {
    this.#close();
  }

  receive(segment: TcpSegment): void {
    this.#lastHeard = this.#host.now();
    this.#probes = 0;
    switch (this.#state) {
      case 'opening':
        if (segment.flags & RST) this.#finish('reset');
        return;
      case 'syn-sent':
        this.#receiveInSynSent(segment);
        return;
      case 'closed':
        return;
      default:
        this.#receiveSynchronized(segment);
    }
  }

  /** RFC 9293 §3.10.7.3. A SYN without ACK (both open at once) is left to retransmission. */
  #receiveInSynSent(segment: TcpSegment): void {
    const isOurs = segment.ack === (this.#iss + 1) >>> 0;
    if (!(segment.flags & ACK) || !isOurs) return;
    if (segment.flags & RST) {
      this.#finish('reset');
    } else if (segment.flags & SYN) {
      this.#learn(segment);
      this.#establish(1, segment.window);
      this.#ackDue = true;
      this.#acknowledgeSoon();
    }
  }

  /** RFC 9293 §3.10.7.4, in its order. */
  #receiveSynchronized(segment: TcpSegment): void {
    const { flags, data } = segment;
    const seq = this.#receiver.next + ((segment.seq - this.#irs - this.#receiver.next) | 0);
    const length = data.length + (flags & FIN ? 1 : 0);
    if (flags & RST) this.#receiveReset(seq, length);
    else if (flags & SYN) this.#receiveSyn(seq);
    else if (!(flags & ACK)) return;
    else if (this.#isExpected(seq, length)) this.#receiveExpected(segment, seq, length);
    else this.#sendAck(); // the answer to a keep-alive, a probe, or what came twice
  }

  #receiveReset(seq: number, length: number): void {
    if (seq === this.#receiver.next) this.#finish(this.#state === 'time-wait' ? 'done' : 'reset');
    else if (this.#isExpected(seq, length)) this.#sendAck(); // RFC 5961 §3.2
  }

  #receiveSyn(seq: number): void {
    if (this.#state === 'syn-received' && seq === 0) this.#send(0, 0, false);
    else this.#sendAck(); // RFC 5961 §4.2
  }

  /** First: whether it touches the window, or the byte before it. */
  #isExpected(seq: number, length: number): boolean {
    return seq <= this.#receiver.edge && seq + length >= this.#receiver.next;
  }

  /** Fifth and on: the acknowledgement, the data, the FIN. */
  #receiveExpected(segment: TcpSegment, seq: number, length: number): void {
    const ack = this.#sender.next + ((segment.ack - this.#iss - this.#sender.next) | 0);
    if (ack > this.#sender.highest) {
      if (this.#state === 'syn-received') this.#reset(segment.ack);
      else this.#sendAck();
      return;
    }
    if (this.#state === 'syn-received') {
      if (ack < 1) return;
      this.#establish(ack, this.#scaled(segment));
    } else {
      this.#acknowledged(ack, segment, seq, length);
    }
    if (length > 0 && this.#state !== 'closed') this.#takeData(segment, seq);
    this.#closeIfDone();
  }

  #acknowledged(ack: number, segment: TcpSegment, seq: number, length: number): void {
    const before = this.#sender.acknowledged;
    if (ack < before) return;
    const { seq: wl1, ack: wl2 } = this.#windowFrom;
    const isNewest = seq > wl1 || (seq === wl1 && ack >= wl2);
    if (isNewest) this.#windowFrom = { seq, ack };
    this.#sender.acknowledge(ack, isNewest ? this.#scaled(segment) : undefined, length === 0);
    if (ack > before) this.#user.drained();
  }

  #takeData(segment: TcpSegment, seq: number): void {
    const outcome = this.#receiver.accept(seq, segment.data, (segment.flags & FIN) !== 0);
    if (this.#state === 'closed') return;
    this.#ackDue = true;
    if (outcome === 'next') this.#acknowledgeSoon();
    else this.#sendAck();
  }

  /** What a SYN tells. */
  #learn({ seq, mss, windowScale }: TcpSegment): void {
    this.#irs = seq;
    if (windowScale !== undefined) this.#scales = { ours: WINDOW_SCALE, theirs: windowScale };
    this.#peerMss = Math.max(LEAST_MSS, Math.min(mss ?? DEFAULT_MSS, this.#mss));
    this.#sender.configure(this.#peerMss, MAX_PACKET - 20 - TCP.SIZE);
  }

  /** The window of a segment that is no SYN. */
  #scaled({ window }: TcpSegment): number {
    return window << (this.#scales?.theirs ?? 0);
  }

  #establish(ack: number, window: number): void {
    this.#state = 'established';
    this.#watch();
    this.#sender.acknowledge(ack, window, false);
    this.#user.connected();
  }

  /** Both directions have ended and are acknowledged. */
  #closeIfDone(): void {
    if (this.#state !== 'established') return;
    if (!this.#receiver.ended || !this.#sender.finAcknowledged) return;
    this.#acknowledgeNow();
    this.#state = 'time-wait';
    this.#sender.close();
    this.#cancelTimer?.();
    this.#cancelTimer = this.#host.after(TIME_WAIT, () => this.#finish('done'));
  }

  /** Asks a silent peer whether it is still there: RFC 9293 §3.8.4. */
  #watch(): void {
    const silent = this.#host.now() - this.#lastHeard;
    const due = this.#probes === 0 ? KEEPALIVE.IDLE : KEEPALIVE.INTERVAL;
    const wait = this.#probes === 0 ? Math.max(due - silent, 1) : due;
    this.#cancelTimer = this.#host.after(wait, () => {
      if (this.#probes >= KEEPALIVE.PROBES) {
        this.#fail('timeout');
        return;
      }
      if (this.#host.now() - this.#lastHeard >= KEEPALIVE.IDLE) {
        this.#probes++;
        this.#emit(ACK, this.#sender.next - 1, 0);
      }
      this.#watch();
    });
  }

  /** Once for all segments of a batch. */
  #acknowledgeSoon(): void {
    if (this.#ackScheduled) return;
    this.#ackScheduled = true;
    this.#host.soon(() => {
      this.#ackScheduled = false;
      this.#acknowledgeNow();
    });
  }

  #acknowledgeNow(): void {
    if (this.#ackDue && this.#state !== 'closed') this.#sendAck();
  }

  #sendAck(): void {
    this.#emit(ACK, this.#sender.next, 0);
  }

  /** What the sender wants sent. */
  #send(offset: number, length: number, fin: boolean): void {
    if (offset === 0) this.#emit(this.#state === 'syn-sent' ? SYN : SYN | ACK, 0, 0);
    else {
      const all = offset + length === this.#sender.ringOffset + this.#sender.ring.length;
      this.#emit(ACK | (fin ? FIN : 0) | (all && length > 0 ? PSH : 0), offset, length);
    }
  }

  #emit(flags: number, offset: number, length: number): void {
    if (flags & ACK) this.#ackDue = false;
    const isSyn = (flags & SYN) !== 0;
    const scale = isSyn ? 0 : (this.#scales?.ours ?? 0);
    this.#transmit({
      seq: (this.#iss + offset) >>> 0,
      ack: flags & ACK ? (this.#irs + this.#receiver.next) >>> 0 : 0,
      flags,
      window: Math.min(MAX_WINDOW, this.#receiver.window() >>> scale),
      options: isSyn ? this.#synOptions(flags) : NO_OPTIONS,
      ring: this.#sender.ring,
      from: Math.max(0, offset - this.#sender.ringOffset),
      length,
      mss: this.#peerMss,
    });
  }

  /** A scale is offered, or taken up if the peer has offered one. */
  #synOptions(flags: number): Uint8Array {
    const offered = !(flags & ACK) || this.#scales !== undefined;
    return encodeSynOptions(this.#mss, offered ? WINDOW_SCALE : undefined);
  }

  /** Answers an acknowledgement of what was never sent, before anything was agreed. */
  #reset(ack: number): void {
    this.#emit(RST, (ack - this.#iss) >>> 0, 0);
  }

  /** The peer is gone, or does not answer: it is told, in case it lives. */
  #fail(reason: 'timeout'): void {
    const { next } = this.#sender;
    this.#close();
    this.#emit(RST | ACK, next, 0);
    this.#user.closed(reason);
  }

  #finish(reason: 'done' | 'reset'): void {
    this.#close();
    this.#user.closed(reason);
  }

  #close(): void {
    this.#state = 'closed';
    this.#sender.close();
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
  }
}
