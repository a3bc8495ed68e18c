/** The console backend against a guest played by the test: history, viewers, input, and pages that lie. */

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Console, type ConsoleViewer } from '../../dom0/console.js';
import { ConsoleHistory } from '../../dom0/console-history.js';
import { ConsoleRing } from '../../dom0/console-ring.js';
import { CONSOLE_OUT_SIZE, XENCONS_INTERFACE } from '../../hypervisor/public/io/console.js';

const { offset } = XENCONS_INTERFACE;
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (data: Uint8Array): string => new TextDecoder().decode(data);

/** The frontend's end of the page. */
class FakeGuest {
  readonly page = new Uint8Array(new SharedArrayBuffer(4096));
  readonly view = new DataView(this.page.buffer);
  notified = 0;

  index(field: keyof typeof offset): number {
    return this.view.getUint32(offset[field], true);
  }

  setIndex(field: keyof typeof offset, value: number): void {
    this.view.setUint32(offset[field], value, true);
  }

  print(data: Uint8Array): void {
    const producer = this.index('out_prod');
    for (const [i, byte] of data.entries()) {
      this.page[offset.out + ((producer + i) % CONSOLE_OUT_SIZE)] = byte;
    }
    this.setIndex('out_prod', (producer + data.length) >>> 0);
  }

  read(): string {
    const consumer = this.index('in_cons');
    const length = (this.index('in_prod') - consumer) >>> 0;
    const data = Uint8Array.from({ length }, (_, i) => this.page[(consumer + i) % 1024] ?? 0);
    this.setIndex('in_cons', (consumer + length) >>> 0);
    return text(data);
  }
}

class Screen implements ConsoleViewer {
  shown = '';
  over = false;
  output(data: Uint8Array): void {
    this.shown += text(data);
  }
  ended(): void {
    this.over = true;
  }
}

function connected(): { guest: FakeGuest; console: Console } {
  const guest = new FakeGuest();
  const console = new Console();
  console.connect({
    page: guest.page,
    notify: () => {
      guest.notified += 1;
    },
  });
  return { guest, console };
}

describe('the history', () => {
  test('is the last bytes printed, whatever the pieces', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 20_000 }),
        fc.array(fc.uint8Array({ maxLength: 9000 }), { maxLength: 12 }),
        (limit, chunks) => {
          const history = new ConsoleHistory(limit);
          for (const chunk of chunks) history.append(chunk);
          const all = Buffer.concat(chunks);
          expect(Buffer.from(history.bytes())).toEqual(
            all.subarray(Math.max(0, all.length - limit)),
          );
          expect(history.total).toBe(all.length);
        },
      ),
    );
  });
});

describe('the ring', () => {
  test('carries bytes across the wrap of ring and indices', () => {
    const guest = new FakeGuest();
    const start = 0xffff_fff0;
    for (const field of ['in_cons', 'in_prod', 'out_cons', 'out_prod'] as const) {
      guest.setIndex(field, start);
    }
    const ring = new ConsoleRing(guest.page);
    guest.print(bytes('across the end of the ring'));
    expect(text(ring.take())).toBe('across the end of the ring');
    expect(ring.give(bytes('and back again, too'))).toBe(19);
    expect(guest.read()).toBe('and back again, too');
  });

  test.each([2049, 0x8000_0000, 0xffff_ffff])('skips a producer %i bytes ahead', (ahead) => {
    const guest = new FakeGuest();
    const ring = new ConsoleRing(guest.page);
    guest.setIndex('out_prod', ahead);
    expect(ring.take()).toHaveLength(0);
    guest.print(bytes('sane again'));
    expect(text(ring.take())).toBe('sane again');
  });

  test('gives nothing to a guest whose input indices make no sense', () => {
    const guest = new FakeGuest();
    guest.setIndex('in_cons', 5000);
    expect(new ConsoleRing(guest.page).give(bytes('lost?'))).toBe(0);
  });
});

describe('a console', () => {
  test('replays the history to each new viewer, then keeps all of them up to date', () => {
    const { guest, console } = connected();
    guest.print(bytes('first '));
    console.pump();
    const early = new Screen();
    const late = new Screen();
    console.open(early);
    guest.print(bytes('second '));
    console.pump();
    const close = console.open(late);
    guest.print(bytes('third'));
    console.pump();
    close();
    guest.print(bytes('!'));
    console.pump();
    expect(early.shown).toBe('first second third!');
    expect(late.shown).toBe('first second third');
  });

  test('shows what was printed before it was connected', () => {
    const guest = new FakeGuest();
    guest.print(bytes('early bird'));
    const console = new Console();
    console.connect({ page: guest.page, notify: () => undefined });
    expect(text(console.history.bytes())).toBe('early bird');
  });

  test('notifies the guest for what it has taken and what it has given', () => {
    const { guest, console } = connected();
    expect(guest.notified).toBe(0);
    guest.print(bytes('x'));
    console.pump();
    expect(guest.notified).toBe(1);
    console.type(bytes('y'));
    expect(guest.notified).toBe(2);
    console.pump();
    expect(guest.notified).toBe(2);
  });

  test('queues input for a guest that reads slowly, and refuses what is beyond the queue', () => {
    const { guest, console } = connected();
    const typed = 'abcdefghij'.repeat(10_000);
    const taken = console.type(bytes(typed));
    expect(taken).toBeGreaterThan(60_000);
    expect(taken).toBeLessThan(typed.length);
    let read = '';
    for (let piece = guest.read(); piece !== ''; piece = guest.read()) {
      read += piece;
      console.pump();
    }
    expect(read).toBe(typed.slice(0, taken));
    expect(console.type(bytes('more'))).toBe(4);
  });

  test('keeps the last words of a domain, and tells the viewers that it has ended', () => {
    const { guest, console } = connected();
    const screen = new Screen();
    console.open(screen);
    guest.print(bytes('good bye'));
    console.end();
    expect(screen).toMatchObject({ shown: 'good bye', over: true });
    const late = new Screen();
    console.open(late);
    expect(late.shown).toBe('good bye');
    expect(console.connected).toBe(false);
  });

  test('goes on with the next incarnation of its domain', () => {
    const { guest, console } = connected();
    const screen = new Screen();
    console.open(screen);
    guest.print(bytes('one '));
    console.disconnect();
    const next = new FakeGuest();
    console.connect({ page: next.page, notify: () => undefined });
    next.print(bytes('two'));
    console.pump();
    expect(screen.shown).toBe('one two');
  });
});
