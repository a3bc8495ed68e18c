/** The guests one meets first do what their heads promise: hello talks, ticker ticks, user outlives its programs. */

import { describe, expect, test } from 'vitest';
import { Harness } from '../support/hypervisor-harness.js';
import { StoreHost } from './store-host.js';
import { runAlone, verdictOf } from './verdict.js';

describe('hello', () => {
  test('greets, answers at its prompt and halts', () => {
    const harness = new Harness();
    const before = harness.freeFrames;
    const guest = harness.create('hello', { cmdline: 'a=1 b' });
    expect(guest.shows('hello> ')).toBe(true);
    expect(guest.output).toContain(`Hello from domain ${guest.domid}.`);
    expect(guest.output).toContain('Command line: "a=1 b"');
    guest.type('echo one two\r');
    expect(guest.shows('\r\none two\r\n')).toBe(true);
    guest.type('mem\rhypercall 17\rhypercall 47\r');
    expect(guest.shows('hypercall 47 = -38')).toBe(true);
    guest.type('halt\r');
    expect(guest.ends()).toBe(true);
    expect(guest.output).toContain('bye');
    expect(guest.info).toMatchObject({ shutdown: true, shutdownReason: 'poweroff' });
    guest.destroy();
    expect(harness.freeFrames).toBe(before);
  });

  test('prints its registers when it crashes', () => {
    const harness = new Harness();
    const guest = harness.create('hello');
    guest.shows('hello> ');
    guest.type('crash\r');
    expect(guest.ends()).toBe(true);
    expect(guest.output).toContain('panic: unexpected trap 14');
    expect(guest.info).toMatchObject({ shutdown: true, shutdownReason: 'crash' });
  });

  test('reads XenStore and obeys control/shutdown', async () => {
    const harness = new Harness();
    const before = harness.freeFrames;
    const store = new StoreHost(harness);
    const guest = harness.create('hello', { paused: true });
    await store.attach(guest, 'greeter');
    harness.call('unpausedomain', { domid: guest.domid });
    guest.shows('hello> ');
    guest.type('xs name\r');
    expect(guest.shows('name = "greeter"')).toBe(true);
    guest.type('xs nowhere\r');
    expect(guest.shows('nowhere: error -2')).toBe(true);
    await store.client.write(`/local/domain/${guest.domid}/control/shutdown`, 'reboot');
    expect(guest.ends()).toBe(true);
    expect(guest.output).toContain('asked to reboot');
    expect(guest.info.shutdownReason).toBe('reboot');
    expect(await store.client.read(`/local/domain/${guest.domid}/control/shutdown`)).toBe('');
    store.detach(guest);
    guest.destroy();
    expect(harness.freeFrames).toBe(before);
  });
});

test('ticker keeps time and survives its exceptions', () => {
  const outcome = runAlone('ticker', { cmdline: 'ticks=20 period=10' });
  expect(verdictOf(outcome)).toMatch(/^VERDICT: success: 20 ticks, 60 traps survived/);
});

test('user outlives its programs: SYSCALL, INT 0x80, faults and an endless loop', () => {
  const outcome = runAlone('user');
  expect(outcome.output).toContain('hello from ring 3 by SYSCALL');
  expect(outcome.output).toContain('hello from ring 3 by INT 0x80');
  expect(outcome.output).not.toContain('WRONG');
  expect(verdictOf(outcome)).toBe('VERDICT: success: 8 programs ended, the kernel did not');
});
