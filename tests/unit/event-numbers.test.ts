/** Numbers of events over restarts, sudden ones too, on a disk that is slow or does not take anything. */

import { describe, expect, test } from 'vitest';
import { EventNumbers, type Reservation } from '../../toolstack/state/event-numbers.js';

/** What is on disk; writes get there when they are let through. */
class Disk implements Reservation {
  reserved = 0;
  writes = 0;
  full = false;
  /** Writes that are on their way; undefined if each arrives at once. */
  waiting: (() => void)[] | undefined;

  read(): number {
    return this.reserved;
  }

  raise(number: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const arrive = (): void => {
        if (this.full) {
          reject(new Error('no space'));
          return;
        }
        this.write(Math.max(number, this.reserved));
        resolve();
      };
      if (this.waiting === undefined) arrive();
      else this.waiting.push(arrive);
    });
  }

  write(number: number): void {
    if (this.full) throw new Error('no space');
    this.writes += 1;
    this.reserved = number;
  }
}

const take = (numbers: EventNumbers, count: number): number[] =>
  Array.from({ length: count }, () => numbers.next());

describe('event numbers', () => {
  test('count from 1', () => {
    const numbers = new EventNumbers(new Disk());
    expect(numbers.last).toBe(0);
    expect(take(numbers, 3)).toEqual([1, 2, 3]);
    expect(numbers.last).toBe(3);
  });

  test('go on without a gap after an orderly end', async () => {
    const disk = new Disk();
    const first = new EventNumbers(disk);
    take(first, 7);
    await first.close();
    const second = new EventNumbers(disk);
    expect(second.last).toBe(7);
    expect(second.next()).toBe(8);
  });

  // biome-ignore format: one row per number of events
  test.each([0, 1, 4999, 5001, 9999, 10_000, 10_001, 25_000, 123_456])('are never given twice if it is killed after %i', async (count) => {
    const disk = new Disk();
    const first = new EventNumbers(disk);
    for (let n = 0; n < count; n += 1) {
      first.next();
      if (n % 1000 === 0) await Promise.resolve();
    }
    expect(disk.reserved).toBeGreaterThanOrEqual(first.last);
    expect(new EventNumbers(disk).next()).toBeGreaterThan(first.last);
  });

  test('are on disk before they are given, however slow it is', () => {
    const disk = new Disk();
    const numbers = new EventNumbers(disk);
    disk.waiting = [];
    for (let n = 0; n < 100_000; n += 1) {
      const number = numbers.next();
      expect(disk.reserved).toBeGreaterThanOrEqual(number);
    }
  });

  test('cost a write in thousands of events', async () => {
    const disk = new Disk();
    const numbers = new EventNumbers(disk);
    for (let n = 0; n < 100_000; n += 1) {
      numbers.next();
      if (n % 100 === 0) await Promise.resolve();
    }
    expect(disk.writes).toBeLessThan(20);
  });

  test('a late write does not take back what was reserved since', async () => {
    const disk = new Disk();
    const numbers = new EventNumbers(disk);
    disk.waiting = [];
    take(numbers, 30_000);
    const arrivals = disk.waiting;
    disk.waiting = undefined;
    for (const arrive of arrivals) arrive();
    await Promise.resolve();
    expect(new EventNumbers(disk).next()).toBeGreaterThan(numbers.last);
  });

  test('are refused when they cannot be reserved', () => {
    const disk = new Disk();
    const numbers = new EventNumbers(disk);
    disk.full = true;
    expect(() => take(numbers, 10_001)).toThrow('no space');
    expect(numbers.last).toBe(10_000);
    disk.full = false;
    expect(numbers.next()).toBe(10_001);
  });
});
