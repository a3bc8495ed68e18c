/** The allocator of host frames: every frame it gives is zero, and none is lost. */

import { expect, test } from 'vitest';
import { HostFrames } from '../../hypervisor/machine/host-frames.js';
import { Ram } from '../../hypervisor/machine/ram.js';
import type { Frame } from '../../hypervisor/machine/types.js';

const FRAMES = 32;
const machine = (): { ram: Ram; frames: HostFrames } => {
  const ram = Ram.allocate(FRAMES * 4096);
  return { ram, frames: new HostFrames(ram) };
};
const take = (frames: HostFrames, count: number): Frame[] =>
  Array.from({ length: count }, () => {
    const frame = frames.allocate();
    if (frame === undefined) throw new Error('no frame left');
    return frame;
  });

test('frames that come back are zero when they are given again, scrubbed before or not', () => {
  const { ram, frames } = machine();
  const first = take(frames, 8);
  for (const frame of first) ram.frameBytes(frame).fill(0xa5);
  for (const frame of first) frames.release(frame);
  expect(frames.scrub(3)).toBe(true);
  const again = take(frames, 8);
  expect(new Set(again)).toEqual(new Set(first));
  for (const frame of again) expect(ram.frameBytes(frame).every((byte) => byte === 0)).toBe(true);
});

test('scrubbing loses no frame and says when nothing is left to do', () => {
  const { frames } = machine();
  const { free } = frames;
  for (const frame of take(frames, 8)) frames.release(frame);
  expect(frames.scrub(8)).toBe(false);
  expect(frames.scrub(8)).toBe(false);
  expect(frames.free).toBe(free);
  take(frames, free);
  expect(frames.allocate()).toBeUndefined();
});
