/** Frames of one image shared by its domains until they write to them. */

import { describe, expect, test } from 'vitest';
import { asMfn, type Frame } from '../../hypervisor/machine/types.js';
import { CommonMachine } from '../support/common-machine.js';
import { Harness, image } from '../support/hypervisor-harness.js';

const info = (h: Harness) => h.call('physinfo', {});

describe('frames of an image', () => {
  function sharing() {
    const machine = new CommonMachine();
    const { ram, frames } = machine;
    const before = frames.free;
    const fill = (frame: Frame) => ram.frameBytes(frame).set([1, 2, 3]);
    const page = (domain = machine.domain({ maxPages: 8 })) => {
      const mfn = domain.memory.allocateImagePage('image', 0, fill);
      if (mfn === undefined) throw new Error('no page');
      return { domain, mfn, bytes: () => ram.frameBytes(domain.frameMap.peek(mfn) as Frame) };
    };
    return { machine, frames, before, page };
  }

  test('the second user gets the frame of the first, and the host keeps one in reserve', () => {
    const { frames, page } = sharing();
    const first = page();
    const free = frames.free;
    const second = page(first.domain);
    expect(second.domain.frameMap.peek(second.mfn)).toBe(first.domain.frameMap.peek(first.mfn));
    expect(frames.free).toBe(free - 1);
    expect(frames.shared.reserved).toBe(1);
  });

  test('who looks a shared frame up gets a copy, and the other keeps the bytes', () => {
    const { machine, frames, page } = sharing();
    const [first, second] = [page(), page()];
    const free = frames.free;
    const own = second.domain.frameMap.lookup(second.mfn) as Frame;
    machine.ram.frameBytes(own)[0] = 9;
    expect([...first.bytes().subarray(0, 3)]).toEqual([1, 2, 3]);
    expect([...second.bytes().subarray(0, 3)]).toEqual([9, 2, 3]);
    expect(second.domain.frameMap.isShared(second.mfn)).toBe(false);
    expect(frames.free).toBe(free);
    expect(frames.shared.reserved).toBe(0);
  });

  test('the last user takes the frame itself, and it is found no more', () => {
    const { frames, page } = sharing();
    const first = page();
    const frame = first.domain.frameMap.peek(first.mfn);
    expect(first.domain.frameMap.lookup(first.mfn)).toBe(frame);
    expect(frames.shared.find('image', 0)).toBeUndefined();
    expect(page().domain.frameMap.peek(asMfn(1))).not.toBe(frame);
  });

  test.each([
    ['the first to come', [0, 1, 2]],
    ['the last to come', [2, 1, 0]],
  ])('all come back, %s being the first to go', (_, order) => {
    const { frames, before, page } = sharing();
    const users = [page(), page(), page()];
    for (const n of order) users[n]?.domain.destroy();
    expect(frames.free).toBe(before);
    expect(frames.shared).toMatchObject({ size: 1, idle: 1, reserved: 0 });
  });

  test('the next domain of the image finds a frame whose last user is gone as it was', () => {
    const { frames, page } = sharing();
    const first = page();
    const frame = first.domain.frameMap.peek(first.mfn);
    first.domain.destroy();
    const free = frames.free;
    const next = page(first.domain);
    expect(next.domain.frameMap.peek(next.mfn)).toBe(frame);
    expect([...next.bytes().subarray(0, 3)]).toEqual([1, 2, 3]);
    expect(frames.free).toBe(free - 1);
    expect(frames.shared).toMatchObject({ idle: 0, reserved: 0 });
  });

  test('an idle frame is anybody’s: zeroed, and forgotten as a page of the image', () => {
    const { machine, frames, page } = sharing();
    const first = page();
    const idle = first.domain.frameMap.peek(first.mfn);
    first.domain.destroy();
    const taken: Frame[] = [];
    for (let frame = frames.allocate(); frame !== undefined; frame = frames.allocate())
      taken.push(frame);
    expect(taken).toContain(idle);
    expect(machine.ram.frameBytes(idle as Frame).some((byte) => byte !== 0)).toBe(false);
    expect(frames.free).toBe(0);
    expect(frames.shared.find('image', 0)).toBeUndefined();
    for (const frame of taken) frames.release(frame);
  });

  test('a page given up and a page over the reservation', () => {
    const { frames, page } = sharing();
    const first = page();
    const free = frames.free;
    const second = page(first.domain);
    first.domain.releasePage(second.mfn);
    expect(frames.free).toBe(free);
    first.domain.maxPages = 1;
    expect(() => page(first.domain)).toThrow('no page');
    expect(frames.free).toBe(free);
  });
});

describe('domains of one image', () => {
  test('share what they have not written to, greet alike and leave nothing behind', () => {
    const h = new Harness();
    const free = h.freeFrames;
    const guests = Array.from({ length: 4 }, () => h.create('hello', { paused: true }));
    const shared = info(h).sharedFrames;
    expect(shared).toBeGreaterThanOrEqual(9);
    for (const { domid } of guests) h.call('unpausedomain', { domid });
    for (const guest of guests) expect(guest.shows('Hello')).toBe(true);
    expect(info(h).sharedFrames).toBeGreaterThan(0);
    for (const guest of guests) guest.destroy();
    expect(h.freeFrames).toBe(free);
    expect(info(h)).toMatchObject({ sharedFrames: 0, bugs: 0 });
  });

  test('one that writes to its image, by itself or through Xen, changes nobody else’s', () => {
    const h = new Harness();
    const [one, other] = [1, 2].map(() => h.create('test-image-pages', { paused: true }));
    const shared = info(h).sharedFrames;
    for (const guest of [one, other]) {
      h.call('unpausedomain', { domid: guest?.domid ?? 0 });
      expect(guest?.ends()).toBe(true);
      expect(guest?.output).toContain('VERDICT: success');
    }
    expect(info(h).sharedFrames).toBeLessThan(shared);
    expect(info(h).bugs).toBe(0);
  });

  test('without a name nothing is shared', () => {
    const h = new Harness();
    for (let n = 0; n < 2; n++) h.create(image('hello'), { paused: true });
    expect(info(h).sharedFrames).toBe(0);
  });
});
