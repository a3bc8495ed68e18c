/** The backend's end of a shared ring: what is taken, what is answered, who is notified, and frontends that lie. */

import { describe, expect, test } from 'vitest';
import { SharedRing } from '../../dom0/shared-ring.js';
import { RING } from '../../hypervisor/public/io/ring.js';

const SLOT = 112;

/** Pages that are not neighbours, and the frontend's hands on them. */
function makeRing(pages = 1, start = 0) {
  const memory = new Uint8Array(new SharedArrayBuffer(pages * 2 * 4096));
  const parts = Array.from({ length: pages }, (_, n) => {
    const at = (2 * (pages - n) - 1) * 4096;
    return memory.subarray(at, at + 4096);
  });
  const [first = memory] = parts;
  const view = new DataView(first.buffer, first.byteOffset, 4096);
  const set = (field: number, value: number): void => view.setUint32(field, value, true);
  const get = (field: number): number => view.getUint32(field, true);
  set(RING.REQ_PROD, start);
  set(RING.RSP_PROD, start);
  set(RING.RSP_EVENT, start + 1);
  set(RING.REQ_EVENT, start + 1);
  return { ring: new SharedRing(parts, SLOT), parts, set, get };
}

function takeAll(ring: SharedRing): number[] {
  const bytes = new Uint8Array(SLOT);
  return Array.from({ length: ring.waiting() ?? 0 }, () => {
    ring.take(bytes);
    return bytes[0] ?? 0;
  });
}

test.each([
  [1, 32],
  [2, 64],
  [16, 512],
])('a ring of %i pages has %i slots', (pages, slots) => {
  expect(makeRing(pages).ring.slots).toBe(slots);
});

test('requests are taken in order, from the slots of their indices', () => {
  const { ring, parts, set } = makeRing();
  for (let n = 0; n < 3; n += 1)
    parts[0]?.fill(n + 1, RING.SLOTS + n * SLOT, RING.SLOTS + (n + 1) * SLOT);
  expect(ring.waiting()).toBe(0);
  set(RING.REQ_PROD, 3);
  expect(ring.waiting()).toBe(3);
  expect(takeAll(ring)).toEqual([1, 2, 3]);
  expect(ring.waiting()).toBe(0);
  expect(ring.unanswered).toBe(3);
});

test('a slot across the edge of two pages is whole', () => {
  const { ring, parts, set } = makeRing(4);
  const at = RING.SLOTS + 72 * SLOT; // 8128: 64 bytes in the second page, 48 in the third
  const pattern = Uint8Array.from({ length: SLOT }, (_, n) => n);
  parts[1]?.set(pattern.subarray(0, 64), at - 4096);
  parts[2]?.set(pattern.subarray(64), 0);
  set(RING.REQ_PROD, 73);
  const into = new Uint8Array(SLOT);
  for (let n = 0; n < 73; n += 1) ring.take(into);
  expect(into).toEqual(pattern);
  const response = pattern.map((byte) => byte ^ 0xff);
  for (let n = 0; n < 73; n += 1) ring.put(response);
  expect(parts[1]?.slice(at - 4096)).toEqual(response.slice(0, 64));
  expect(parts[2]?.slice(0, 48)).toEqual(response.slice(64));
});

test('indices wrap', () => {
  const { ring, set, get } = makeRing(1, 0xffff_fffe);
  set(RING.REQ_PROD, 2);
  expect(ring.waiting()).toBe(4);
  takeAll(ring);
  for (let n = 0; n < 4; n += 1) ring.put(new Uint8Array(16));
  expect(ring.publish()).toBe(true);
  expect(get(RING.RSP_PROD)).toBe(2);
  expect(ring.finalCheck()).toBe(false);
  expect(get(RING.REQ_EVENT)).toBe(3);
});

describe('a frontend that lies', () => {
  // biome-ignore format: one row per lie
  test.each([
    ['a ring and one ahead',  33],
    ['far ahead',             0x8000_0000],
    ['one back',              0xffff_ffff],
  ])('%s', (_what, producer) => {
    const { ring, set } = makeRing();
    set(RING.REQ_PROD, producer);
    expect(ring.waiting()).toBeUndefined();
    expect(ring.finalCheck()).toBe(true);
  });

  test('a full ring is no lie, but one more before an answer is', () => {
    const { ring, set } = makeRing();
    set(RING.REQ_PROD, 32);
    expect(ring.waiting()).toBe(32);
    takeAll(ring);
    set(RING.REQ_PROD, 33);
    expect(ring.waiting()).toBeUndefined();
    ring.put(new Uint8Array(16));
    expect(ring.waiting()).toBe(1);
  });
});

// biome-ignore format: one row per case
test.each<[what: string, rspEvent: number, responses: number, notify: boolean]>([
  ['asked for the first',        1, 1, true],
  ['asked for the third of two', 3, 2, false],
  ['asked for the third of four', 3, 4, true],
  ['asked for one long past',    0, 2, false],
])('a frontend that %s is notified: %i, %i responses', (_what, rspEvent, responses, notify) => {
  const { ring, set, get } = makeRing();
  set(RING.REQ_PROD, 8);
  set(RING.RSP_EVENT, rspEvent);
  takeAll(ring);
  for (let n = 0; n < responses; n += 1) ring.put(new Uint8Array(16));
  expect(get(RING.RSP_PROD)).toBe(0);
  expect(ring.publish()).toBe(notify);
  expect(get(RING.RSP_PROD)).toBe(responses);
  expect(ring.publish()).toBe(false);
});

test('the final check asks for an event, or says that there is more', () => {
  const { ring, set, get } = makeRing();
  set(RING.REQ_PROD, 1);
  expect(ring.finalCheck()).toBe(true);
  takeAll(ring);
  expect(ring.finalCheck()).toBe(false);
  expect(get(RING.REQ_EVENT)).toBe(2);
});
