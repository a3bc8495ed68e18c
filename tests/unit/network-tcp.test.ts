/** TCP against a scripted peer: every segment in and out is a row, so loss, disorder and closed windows are what we say. */

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type OutgoingSegment,
  TcpConnection,
  type TcpUser,
} from '../../dom0/network/tcp-connection.js';
import { decodeTcp } from '../../dom0/network/tcp-segment.js';
import { FakeHost } from '../support/network.js';

const FLAGS = { F: 1, S: 2, R: 4, P: 8, A: 0x10 } as const;
const PEER_ISS = 0xffff_fffe; // wraps at once
const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const bytes = (value: string): Uint8Array => new TextEncoder().encode(value);

interface Sent {
  readonly flags: number;
  readonly seq: number;
  readonly ack: number;
  readonly window: number;
  readonly data: string;
}

/** What the peer sends; offsets count from its SYN and from ours. */
interface Said {
  readonly seq?: number;
  readonly ack?: number;
  readonly window?: number;
  readonly data?: string;
  readonly mss?: number;
  readonly windowScale?: number;
}

class Conversation implements TcpUser {
  readonly host = new FakeHost();
  readonly events: string[] = [];
  readonly tcp: TcpConnection;
  /** Whether what arrives is let go at once. */
  reads = true;
  received = '';
  #sent: Sent[] = [];
  #iss = 0;

  constructor() {
    this.tcp = new TcpConnection({
      host: this.host,
      user: this,
      mtu: 1500,
      transmit: (segment) => this.#transmit(segment),
    });
  }

  connected(): void {
    this.events.push('connected');
  }
  data(chunk: Uint8Array): void {
    this.received += text(chunk);
    if (this.reads) this.tcp.release(chunk.length);
  }
  ended(): void {
    this.events.push('ended');
  }
  drained(): void {}
  closed(reason: string): void {
    this.events.push(reason);
  }

  /** A segment from the peer: "SA", "A", "FA", … */
  says(flags: string, { seq = 1, ack = 1, window = 0xffff, data = '', ...syn }: Said = {}): this {
    this.tcp.receive({
      source: 1000,
      destination: 80,
      seq: (PEER_ISS + seq) >>> 0,
      ack: (this.#iss + ack) >>> 0,
      flags: [...flags].reduce((sum, flag) => sum | FLAGS[flag as keyof typeof FLAGS], 0),
      window,
      mss: syn.mss,
      windowScale: syn.windowScale,
      data: bytes(data),
    });
    return this;
  }

  /** What we have sent since the last time: "SA 0 1", "A 1 1 'data'": flags, seq, ack, data. */
  heard(): string[] {
    this.host.settle();
    return this.#drain().map(({ flags, seq, ack, data }) =>
      [flagsOf(flags), seq, ack, ...(data === '' ? [] : [`'${data}'`])].join(' '),
    );
  }

  windows(): number[] {
    this.host.settle();
    return this.#drain().map(({ window }) => window);
  }

  #drain(): Sent[] {
    const sent = this.#sent;
    this.#sent = [];
    return sent;
  }

  #transmit({ flags, seq, ack, window, ring, from, length }: OutgoingSegment): void {
    const copy = new Uint8Array(length);
    ring.copy(from, length, copy, 0);
    if (flags & FLAGS.S) this.#iss = seq;
    const data = text(copy);
    const offset = (seq - this.#iss) | 0;
    this.#sent.push({
      flags,
      seq: offset,
      ack: flags & FLAGS.A ? (ack - PEER_ISS) | 0 : 0,
      window,
      data,
    });
  }
}

const flagsOf = (flags: number): string =>
  Object.entries(FLAGS)
    .flatMap(([name, bit]) => (flags & bit ? [name] : []))
    .join('');

/** Opened by the peer, as a guest does. */
function accepted(syn: Said = { mss: 1460, windowScale: 7 }): Conversation {
  const talk = new Conversation();
  talk.tcp.open({
    ...{ source: 1000, destination: 80, seq: PEER_ISS, ack: 0, flags: FLAGS.S, window: 0xffff },
    ...{ mss: syn.mss, windowScale: syn.windowScale, data: new Uint8Array(0) },
  });
  expect(talk.heard()).toEqual([]);
  talk.tcp.answer();
  expect(talk.heard()).toEqual(['SA 0 1']);
  talk.says('A', syn.window === undefined ? {} : { window: syn.window });
  expect([talk.heard(), talk.events]).toEqual([[], ['connected']]);
  return talk;
}

describe('opening', () => {
  test('our SYN is answered, and acknowledged', () => {
    const talk = new Conversation();
    talk.tcp.connect();
    expect(talk.heard()).toEqual(['S 0 0']);
    talk.says('SA', { seq: 0, mss: 1460, windowScale: 2 });
    expect(talk.heard()).toEqual(['A 1 1']);
    expect(talk.events).toEqual(['connected']);
  });

  test('our SYN is repeated, ever more rarely, and given up', () => {
    const talk = new Conversation();
    talk.tcp.connect();
    talk.heard();
    const counts = [1000, 2000, 4000, 8000, 16_000].map((ms) => {
      talk.host.advance(ms);
      return talk.heard();
    });
    expect(counts).toEqual(counts.map(() => ['S 0 0']));
    talk.host.advance(32_000);
    expect(talk.events).toEqual(['timeout']);
    expect(talk.host.waiting).toBe(0);
  });

  test('a refusal is one, if it acknowledges our SYN', () => {
    const talk = new Conversation();
    talk.tcp.connect();
    talk.says('RA', { seq: 0, ack: 77 });
    expect(talk.events).toEqual([]);
    talk.says('RA', { seq: 0, ack: 1 });
    expect(talk.events).toEqual(['reset']);
  });

  test('the peer repeats its SYN: so do we, once we have answered', () => {
    const talk = new Conversation();
    const syn = { source: 1, destination: 2, seq: PEER_ISS, ack: 0, flags: FLAGS.S, window: 9 };
    talk.tcp.open({ ...syn, mss: 1460, windowScale: undefined, data: new Uint8Array(0) });
    talk.says('S', { seq: 0 });
    expect(talk.heard()).toEqual([]);
    talk.tcp.answer();
    talk.heard();
    talk.says('S', { seq: 0 });
    expect(talk.heard()).toEqual(['SA 0 1']);
  });

  test('is aborted with a reset the peer believes', () => {
    const talk = new Conversation();
    const syn = { source: 1, destination: 2, seq: PEER_ISS, ack: 0, flags: FLAGS.S, window: 9 };
    talk.tcp.open({ ...syn, mss: undefined, windowScale: undefined, data: new Uint8Array(0) });
    talk.tcp.abort();
    expect(talk.heard().map((line) => line.replace(/ -?\d+ /, ' _ '))).toEqual(['RA _ 1']);
  });
});

describe('receiving', () => {
  // biome-ignore format: one row per order of arrival
  test.each([
    ['in order',              [[1, 'abc'], [4, 'def'], [7, 'ghi']],               'abcdefghi'],
    ['backwards',             [[7, 'ghi'], [4, 'def'], [1, 'abc']],               'abcdefghi'],
    ['twice',                 [[1, 'abc'], [1, 'abc'], [4, 'def'], [4, 'def']],   'abcdef'],
    ['overlapping',           [[1, 'abcd'], [3, 'cdefg'], [2, 'b']],              'abcdefg'],
    ['early and overlapping', [[4, 'defg'], [3, 'cde'], [6, 'fgh'], [1, 'abc']],  'abcdefgh'],
    ['with a hole',           [[1, 'abc'], [7, 'ghi']],                           'abc'],
  ] as const)('segments %s become a stream', (_order, segments, expected) => {
    const talk = accepted();
    for (const [seq, data] of segments) talk.says('A', { seq, data });
    expect(talk.received).toBe(expected);
    expect(talk.heard().at(-1)).toBe(`A 1 ${1 + expected.length}`);
  });

  test('any order, any cutting, any repetition gives the same stream', () => {
    const whole = Array.from({ length: 300 }, (_, i) => String.fromCharCode(97 + (i % 26))).join(
      '',
    );
    const cuts = fc.array(fc.tuple(fc.nat(299), fc.integer({ min: 1, max: 90 })), {
      maxLength: 40,
    });
    fc.assert(
      fc.property(cuts, (pieces) => {
        const talk = accepted();
        for (const [at, length] of pieces) {
          talk.says('A', { seq: 1 + at, data: whole.slice(at, at + length) });
          expect(whole.startsWith(talk.received)).toBe(true);
        }
        for (let at = 0; at < 300; at += 60)
          talk.says('A', { seq: 1 + at, data: whole.slice(at, at + 60) });
        expect(talk.received).toBe(whole);
      }),
    );
  });

  test('one acknowledgement answers all segments of a batch; what is out of order is answered at once', () => {
    const talk = accepted();
    for (let i = 0; i < 10; i++) talk.says('A', { seq: 1 + i, data: 'x' });
    expect(talk.heard()).toEqual(['A 1 11']);
    talk.says('A', { seq: 20, data: 'y' }).says('A', { seq: 21, data: 'z' });
    expect(talk.heard()).toEqual(['A 1 11', 'A 1 11']);
  });

  test('who does not read closes the window; who reads again opens it, and says so', () => {
    const talk = accepted();
    talk.reads = false;
    const block = 'x'.repeat(64 * 1024);
    for (let i = 0; i < 4; i++) talk.says('A', { seq: 1 + i * block.length, data: block });
    expect(talk.windows().at(-1)).toBe(0);
    talk.says('A', { seq: 1 + 4 * block.length, data: 'beyond' });
    expect(talk.received).toHaveLength(256 * 1024);
    expect(talk.windows()).toEqual([0]);
    talk.tcp.release(1000);
    expect(talk.windows()).toEqual([]); // not worth a word
    talk.tcp.release(99_000);
    expect(talk.windows()).toEqual([Math.floor(100_000 / 16)]);
  });

  test('a window without a scale is never more than the field holds', () => {
    const talk = accepted({ mss: 1460 });
    talk.says('A', { data: 'x' });
    expect(talk.windows()).toEqual([0xffff]);
  });
});

describe('sending', () => {
  const segment = 'x'.repeat(1460);

  test("is cut to what the peer's window holds, and goes on as it opens", () => {
    const talk = accepted({ mss: 4, window: 4 }); // counts as 48, the least
    talk.tcp.send(bytes('abcdefghij'));
    expect(talk.heard()).toEqual(["A 1 1 'abcd'"]);
    talk.says('A', { ack: 5, window: 6 });
    expect(talk.heard()).toEqual(["PA 5 1 'efghij'"]);
  });

  test('what is not acknowledged is sent again, ever more rarely, until the peer is given up', () => {
    const talk = accepted();
    talk.tcp.send(bytes('hello'));
    talk.heard();
    for (let i = 0, wait = 200; i < 10; i++, wait = Math.min(30_000, wait * 2)) {
      talk.host.advance(wait - 1);
      expect(talk.heard()).toEqual([]);
      talk.host.advance(1);
      expect(talk.heard()).toEqual(["PA 1 1 'hello'"]);
    }
    talk.host.advance(30_000);
    expect(talk.events).toEqual(['connected', 'timeout']);
    expect(talk.heard()).toEqual(['RA 6 1']);
    expect(talk.host.waiting).toBe(0);
  });

  test('three repeated acknowledgements bring the lost segment at once', () => {
    const talk = accepted({ mss: 1460, windowScale: 0 });
    talk.tcp.send(bytes(segment.repeat(4)));
    expect(talk.heard()).toHaveLength(1); // all four at once: who must, cuts them
    talk.says('A').says('A');
    expect(talk.heard()).toEqual([]);
    talk.says('A');
    expect(talk.heard().map((line) => line.slice(0, 5))).toEqual(['PA 1 ']);
    talk.says('A', { ack: 1 + 4 * 1460 });
    expect(talk.tcp.queued).toBe(0);
  });

  test('a closed window is probed with one byte, for as long as the peer answers', () => {
    const talk = accepted();
    talk.tcp.send(bytes('abc'));
    talk.heard();
    talk.says('A', { ack: 4, window: 0 });
    talk.tcp.send(bytes('defg'));
    expect(talk.heard()).toEqual([]);
    for (let i = 0; i < 40; i++) {
      talk.host.advance(30_000);
      for (const line of talk.heard()) expect(line).toBe("A 4 1 'd'");
      talk.says('A', { ack: 4, window: 0 });
    }
    expect(talk.events).toEqual(['connected']);
    talk.says('A', { ack: 4, window: 100 });
    expect(talk.heard()).toEqual(["PA 4 1 'defg'"]);
  });

  test('an acknowledgement of what was never sent changes nothing', () => {
    const talk = accepted();
    talk.tcp.send(bytes('abc'));
    talk.heard();
    talk.says('A', { ack: 5 });
    expect([talk.heard(), talk.tcp.queued]).toEqual([['A 4 1'], 3]);
  });

  test('arrives whole at a peer that loses every so many segments', () => {
    const sizes = fc.integer({ min: 1, max: 60_000 });
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 9 }), sizes, (lossy, size) => {
        const whole = Uint8Array.from({ length: size }, (_, i) => 97 + (i % 23));
        const talk = accepted({ mss: 1460, windowScale: 0 });
        talk.tcp.send(whole);
        expect(hearAll(talk, size, lossy)).toBe(text(whole));
      }),
      { numRuns: 30 },
    );
  });

  /** Takes and acknowledges what comes, in order, but for every so-many-th segment. */
  function hearAll(talk: Conversation, size: number, lossy: number): string {
    let got = '';
    let count = 0;
    for (let round = 0; round < 400 && got.length < size; round++) {
      const segments = talk.heard().map((line) => /^\w+ (\d+) \d+ '(.*)'$/s.exec(line));
      for (const [, seq = '', data = ''] of segments.filter((it) => it !== null)) {
        const known = got.length - (Number(seq) - 1);
        if (++count % lossy !== 0 && known >= 0) got += data.slice(known);
      }
      talk.says('A', { ack: 1 + got.length, window: 10_000 });
      talk.host.advance(250);
    }
    return got;
  }
});

describe('closing', () => {
  test('ours first: the peer may go on sending; then a second of patience', () => {
    const talk = accepted();
    talk.tcp.send(bytes('bye'));
    talk.tcp.end();
    expect(talk.heard()).toEqual(["PA 1 1 'bye'", 'FA 4 1']);
    talk.says('A', { ack: 5, data: 'still here' });
    expect(talk.received).toBe('still here');
    talk.heard();
    talk.says('FA', { seq: 11, ack: 5 });
    expect([talk.heard(), talk.tcp.state]).toEqual([['A 5 12'], 'time-wait']);
    talk.says('FA', { seq: 11, ack: 5 });
    expect(talk.heard()).toEqual(['A 5 12']);
    talk.host.advance(1000);
    expect(talk.events).toEqual(['connected', 'ended', 'done']);
    expect(talk.host.waiting).toBe(0);
  });

  test("the peer's first: we may go on sending", () => {
    const talk = accepted();
    talk.says('FA', { data: 'last' });
    expect([talk.received, talk.events.at(-1), ...talk.heard()]).toEqual([
      'last',
      'ended',
      'A 1 6',
    ]);
    talk.tcp.send(bytes('more'));
    talk.tcp.end();
    expect(talk.heard()).toEqual(["PA 1 6 'more'", 'FA 5 6']);
    talk.says('A', { seq: 6, ack: 6 });
    expect(talk.tcp.state).toBe('time-wait');
  });

  test('a FIN that is lost is sent again', () => {
    const talk = accepted();
    talk.tcp.end();
    expect(talk.heard()).toEqual(['FA 1 1']);
    talk.host.advance(200);
    expect(talk.heard()).toEqual(['FA 1 1']);
  });

  test('a FIN that comes before the data waits for it', () => {
    const talk = accepted();
    talk.says('FA', { seq: 4, data: 'def' });
    expect(talk.events).toEqual(['connected']);
    talk.says('A', { data: 'abc' });
    expect([talk.received, talk.events.at(-1)]).toEqual(['abcdef', 'ended']);
  });

  // biome-ignore format: one row per reset
  test.each([
    ['at the edge',       1,         ['connected', 'reset'], []],
    ['in the window',     100,       ['connected'],          ['A 1 1']],
    ['outside of it',     9_999_999, ['connected'],          []],
  ] as const)('a reset %s', (_where, seq, events, answer) => {
    const talk = accepted();
    talk.says('R', { seq });
    expect([talk.events, talk.heard()]).toEqual([events, answer]);
  });

  test('a SYN in the middle is challenged', () => {
    const talk = accepted();
    talk.says('S', { seq: 50 });
    expect([talk.events, talk.heard()]).toEqual([['connected'], ['A 1 1']]);
  });

  test('a peer that is silent is asked, and given up if it stays so', () => {
    const talk = accepted();
    talk.host.advance(300_000);
    expect(talk.heard()).toEqual(['A 0 1']);
    talk.says('A');
    talk.host.advance(299_000);
    expect(talk.heard()).toEqual([]);
    talk.host.advance(200_000);
    expect(talk.events).toEqual(['connected', 'timeout']);
    expect(talk.host.waiting).toBe(0);
  });
});

test('no segments make it throw, or leave timers once it is closed', () => {
  const said = fc.record({
    flags: fc.nat(255),
    seq: fc.oneof(fc.integer({ min: -5, max: 50 }), fc.integer({ min: -(2 ** 31), max: 2 ** 31 })),
    ack: fc.oneof(fc.integer({ min: -5, max: 50 }), fc.integer({ min: -(2 ** 31), max: 2 ** 31 })),
    window: fc.nat(0xffff),
    data: fc.string({ maxLength: 20 }),
    ms: fc.nat(5000),
    act: fc.constantFrom('send', 'end', 'nothing', 'nothing'),
  });
  fc.assert(
    fc.property(fc.array(said, { maxLength: 30 }), (all) => {
      const talk = accepted();
      for (const { flags, ms, act, ...fields } of all) {
        if (act === 'send') talk.tcp.send(bytes('some bytes'));
        if (act === 'end') talk.tcp.end();
        talk.says(flagsOf(flags & 0x1f), fields);
        talk.host.advance(ms);
      }
      talk.tcp.abort();
      talk.host.settle();
      expect(talk.host.waiting).toBe(0);
      expect(talk.events.filter((event) => /done|reset|timeout/.test(event)).length).toBeLessThan(
        2,
      );
    }),
    { numRuns: 500 },
  );
});

test('headers with any bytes are read, or refused', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), fc.nat(90), (header, end) => {
      const segment = decodeTcp(header, 0, Math.min(end, header.length));
      if (segment) expect(segment.data.length).toBeLessThanOrEqual(header.length - 20);
    }),
    { numRuns: 2000 },
  );
});
