/** The event stream for readers: gaps are told, a reader that stalls loses nothing that is kept, filters. */

import { expect, test } from 'vitest';
import { EventFeed } from '../../toolstack/domains/event-feed.js';
import { EventLog } from '../../toolstack/domains/event-log.js';
import type { Event } from '../../toolstack/schemas/event.js';

const KEPT_AT_LEAST = 10_000;

class Reader {
  full = false;
  readonly got: Event[] = [];
  write(event: Event): void {
    this.got.push(event);
  }
  get numbers(): (number | string)[] {
    return this.got.map((event) =>
      event.kind === 'gap' ? `${event.from}-${event.to}` : event.seq,
    );
  }
}

function happen(log: EventLog, times: number, name = 'hello', domid = 1): void {
  const uuid = `00000000-0000-4000-8000-00000000000${domid}`;
  for (let n = 0; n < times; n++) {
    log.record({ kind: 'changed', domid, uuid, name, state: 'running' });
  }
}

test('a reader gets what happens from now on, or what came after the number it names', () => {
  const log = new EventLog();
  const feed = new EventFeed(log);
  happen(log, 3);
  const [fresh, late] = [new Reader(), new Reader()];
  feed.open({}, fresh);
  feed.open({ since: 1 }, late);
  happen(log, 1);
  expect(fresh.numbers).toEqual([4]);
  expect(late.numbers).toEqual([2, 3, 4]);
});

test('what is no longer kept is a gap, and so are numbers that were never given out', () => {
  const log = new EventLog();
  const feed = new EventFeed(log);
  happen(log, 3 * KEPT_AT_LEAST);
  const [old, future] = [new Reader(), new Reader()];
  feed.open({ since: 5 }, old);
  const [gap, next] = old.got;
  expect(gap).toMatchObject({ kind: 'gap', from: 6, reason: 'expired' });
  expect(next).toMatchObject({ seq: gap?.kind === 'gap' ? gap.to + 1 : 0 });
  expect(old.got.at(-1)).toMatchObject({ seq: log.last });
  feed.open({ since: log.last + 10 }, future);
  expect(future.got).toMatchObject([{ kind: 'gap', reason: 'unknown' }]);
  happen(log, 1);
  expect(future.got.at(-1)).toMatchObject({ seq: log.last });
});

test('numbers from before the start of the service are a gap of their own', () => {
  const log = new EventLog();
  happen(log, 2 * KEPT_AT_LEAST + 1);
  const reader = new Reader();
  new EventFeed(log).open({ since: 1 }, reader);
  expect(reader.got[0]).toMatchObject({ kind: 'gap', from: 2, reason: 'restart' });
});

test('a reader that stalls finds what it has missed when it reads again', async () => {
  const log = new EventLog();
  const reader = new Reader();
  const stop = new EventFeed(log).open({}, reader);
  reader.full = true;
  happen(log, 100);
  expect(reader.got).toEqual([]);
  reader.full = false;
  await expect.poll(() => reader.got.length).toBe(100);
  expect(reader.numbers).toEqual(Array.from({ length: 100 }, (_, n) => n + 1));
  stop();
  happen(log, 1);
  expect(reader.got).toHaveLength(100);
});

test('filters leave out other domains and other kinds', () => {
  const log = new EventLog();
  const feed = new EventFeed(log);
  const [byName, byKind] = [new Reader(), new Reader()];
  feed.open({ domain: 'other' }, byName);
  feed.open({ kinds: ['created'] }, byKind);
  happen(log, 2);
  happen(log, 1, 'other', 2);
  expect(byName.numbers).toEqual([3]);
  expect(byKind.got).toEqual([]);
});
