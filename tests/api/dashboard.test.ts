/** The dashboard: served with a strict policy, and driven in a real browser. */

import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { PHONE } from '../support/dashboard-page.js';
import { DashboardSuite, definition, show } from '../support/dashboard-suite.js';
import { eventually } from '../support/service.js';

const suite = new DashboardSuite();

test('the page loads nothing from elsewhere, and is not sent again to who has it', async () => {
  const { status, headers } = await suite.service.request('GET', '/');
  expect(status).toBe(200);
  expect(headers.get('content-security-policy')).toContain("default-src 'none'; script-src 'self'");
  const known = { 'if-none-match': headers.get('etag') ?? '' };
  expect((await fetch(`${suite.service.url}/`, { headers: known })).status).toBe(304);
});

test.each(['README.md', 'tsconfig.json', '..%2foptions.ts'])('%s is not served', async (name) => {
  expect((await suite.service.request('GET', `/dashboard/${name}`)).status).toBe(404);
});

const row = (page: Page, text: string | RegExp) => page.locator('tbody tr', { hasText: text });
suite.test(
  'a domain is created, typed to, seen to make hypercalls and destroyed, on a phone',
  '',
  async (page) => {
    await page.getByRole('heading', { name: 'No domain runs here yet' }).waitFor();
    await page.getByRole('button', { name: 'New domain' }).first().click();
    await page.getByLabel('Name').fill('seen');
    await page.getByLabel('Kernel').fill('hello');
    await page.getByRole('button', { name: 'Create' }).click();
    await page.locator('.xterm-rows', { hasText: 'hello>' }).waitFor();
    await page.locator('.xterm-helper-textarea').focus();
    await page.keyboard.type('echo typed here\r');
    await page.locator('.xterm-rows > div', { hasText: /^typed here/ }).waitFor();
    await show(page, 'trace');
    await page.getByText(/ a second, /).waitFor();
    await suite.type('seen', 'mem');
    await page.locator('.lines .call', { hasText: 'event_channel_op' }).first().waitFor();
    await page.getByLabel('faults').check();
    await page.getByText(/ a second, /).waitFor();
    await show(page, 'domains');
    await page.getByRole('button', { name: 'Destroy' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Destroy' }).click();
    await page.getByRole('heading', { name: 'No domain runs here yet' }).waitFor();
  },
  { viewport: PHONE },
);

suite.test(
  'what a form is refused for is said at the field, the first of them in focus',
  '',
  async (page) => {
    await page.getByRole('button', { name: 'New domain' }).first().click();
    await page.getByText('More').click();
    await page.getByLabel('Cap').fill('-5');
    await page.getByText('More').click();
    await page.getByLabel('Name').fill('two words');
    await page.getByRole('button', { name: 'Create' }).click();
    await page.locator('#new-name-about', { hasText: 'letters, digits' }).waitFor();
    await page.locator('#new-kernel-about', { hasText: 'needed' }).waitFor();
    await page.locator('#new-cap-about', { hasText: 'At least 0' }).waitFor();
    expect(await page.evaluate('document.activeElement.id')).toBe('new-name');
    await page.getByLabel('Kernel').fill('no-such-kernel');
    await page.getByLabel('Name').fill('two-words');
    await page.getByLabel('Cap').fill('50');
    await page.getByRole('button', { name: 'Create' }).click();
    await page.locator('#new-kernel-about.field-error').waitFor();
    expect(await page.getByRole('dialog').locator('[aria-invalid]').count()).toBe(1);
  },
  { expected: /status of 4\d\d/ },
);
suite.test(
  'the trace is filtered and summed up, and says why a call was refused',
  '#/trace',
  async (page) => {
    await suite.create({ name: 'traced', kernel: 'hello', memory: 4 });
    const calls = page.locator('.lines details:visible .call');
    await calls.filter({ hasText: 'event_channel_op' }).first().waitFor();
    await page.getByLabel('Filter the trace').fill('"op(send" -sched_op');
    await suite.type('traced', 'hypercall 5');
    await calls.filter({ hasNotText: 'event_channel_op' }).first().waitFor({ state: 'detached' });
    await calls.filter({ hasText: 'event_channel_op(send' }).first().waitFor();
    await page.getByLabel('Filter the trace').fill('ENOSYS');
    await suite.type('traced', 'hypercall 63');
    await page.locator('.lines details.bad:visible').first().click();
    await page.locator('.lines dl dt', { hasText: 'rip' }).waitFor();
    await page.getByLabel('Filter the trace').fill('');
    await page.getByRole('button', { name: 'Summary' }).click();
    await row(page, 'event_channel_op send').waitFor();
    await row(page, /1 ENOSYS/).waitFor();
    await page.getByRole('button', { name: 'Clear' }).click();
    await page.getByText('No calls yet.').waitFor();
  },
);

suite.test(
  'an expression filters the trace at the service, which says at the field what is wrong with it',
  '#/trace',
  async (page) => {
    await suite.create({ name: 'traced', kernel: 'hello', memory: 4 });
    await page.getByText('Filter by an expression').click();
    await page.getByLabel('Expression').fill('call=event_channel_op and');
    await page.keyboard.press('Enter');
    await page.locator('#expression-about.field-error').waitFor();
    expect(await page.getByLabel('Expression').getAttribute('aria-invalid')).toBe('true');
    await page.getByLabel('Expression').fill('errno=ENOSYS');
    await page.getByRole('button', { name: 'Apply' }).click();
    await page.waitForURL(/filter=errno/);
    await page.getByText(/ a second, /).waitFor();
    await suite.type('traced', 'hypercall 63');
    await page.locator('.lines details.bad .call', { hasText: 'ENOSYS' }).waitFor();
    expect(await page.locator('.lines details:not(.bad)').count()).toBe(0);
  },
  { expected: /status of 400/ },
);

suite.test(
  'the trace is recorded, and played after its domain has gone',
  '#/trace',
  async (page) => {
    await suite.create({ name: 'traced', kernel: 'hello', memory: 4 });
    await page.getByText('Recordings').click();
    await page.getByRole('button', { name: 'Record', exact: true }).click();
    await page.getByText('so far').waitFor();
    await page.locator('.lines .call', { hasText: 'event_channel_op' }).first().waitFor();
    await suite.type('traced', 'hypercall 63');
    await page.locator('.lines .call', { hasText: 'ENOSYS' }).waitFor();
    await page.getByRole('button', { name: /^Stop / }).click();
    await page.getByRole('button', { name: /^Play / }).waitFor();
    await suite.destroy('traced');
    await page.getByRole('button', { name: /^Play / }).click();
    await page.getByText(/end of the recording, \d+ records/).waitFor();
    await page.locator('.lines .call', { hasText: 'ENOSYS' }).waitFor();
    await page.getByRole('button', { name: /^Remove / }).click();
    await page.getByText('Nothing is recorded yet.').waitFor();
    await page.getByRole('link', { name: 'Live' }).click();
    await page.waitForURL(/#\/trace$/);
  },
);

suite.test(
  'a definition is made, started with the service, started and forgotten',
  '',
  async (page) => {
    await page.getByRole('button', { name: 'New domain' }).first().click();
    await page.getByLabel('Name').fill('kept');
    await page.getByLabel('Kernel').fill('hello');
    await page.getByText('More').click();
    await page.getByLabel('remember it').check();
    await page.getByRole('button', { name: 'Create' }).click();
    await page.locator('.xterm-rows', { hasText: 'hello>' }).waitFor();
    await show(page, 'domains');
    await page.getByLabel('Start kept with the service').check();
    const autostart = async () =>
      (await suite.service.request('GET', definition('kept'))).json.autostart;
    expect(await eventually(autostart, (is) => is)).toBe(true);
    await suite.destroy('kept');
    await page.getByRole('heading', { name: 'No domain runs here yet' }).waitFor();
    await page.getByRole('button', { name: 'Start kept', exact: true }).click();
    await page.locator('.xterm-rows', { hasText: 'hello>' }).waitFor();
    await show(page, 'domains');
    await page.getByRole('button', { name: 'Forget kept' }).click();
    await page.getByRole('button', { name: 'Forget kept' }).waitFor({ state: 'detached' });
    await page.getByRole('button', { name: 'Destroy kept' }).waitFor();
  },
);

suite.test(
  'the tree of XenStore follows what the toolstack, REST and a guest write',
  '',
  async (page) => {
    const node = (path: string) => page.locator(`[data-path="${path}"] > .label`);
    const disk = { kernel: 'disk', memory: 8, paused: true, onPoweroff: 'preserve' };
    await suite.service.request('POST', '/v1/disks', { name: 'tree.img', size: 8 * 2 ** 20 });
    const { json } = await suite.create({
      ...disk,
      name: 'tree',
      disks: [{ vdev: 'xvda', target: 'tree.img' }],
    });
    const home = `/local/domain/${json.domid}`;
    await show(page, 'store');
    await page.getByText(/live, \d+ changes/).waitFor();
    await node(home).click();
    await node(`${home}/name`).filter({ hasText: 'tree' }).waitFor();
    await suite.service.request('PUT', `/v1/xenstore${home}/name`, { value: 'renamed' });
    await node(`${home}/name`).filter({ hasText: 'renamed' }).waitFor();
    for (const part of ['device', 'device/vbd', 'device/vbd/51712'])
      await node(`${home}/${part}`).click();
    await node(`${home}/device/vbd/51712/backend`).waitFor();
    expect(await node(`${home}/device/vbd/51712/ring-ref`).count()).toBe(0);
    await suite.service.request('POST', '/v1/domains/tree/actions/unpause');
    await node(`${home}/device/vbd/51712/ring-ref`).waitFor();
    await node(`${home}/name`).click();
    await page.getByLabel('Value').fill('from the page');
    await page.getByRole('button', { name: 'Write' }).click();
    await node(`${home}/name`).filter({ hasText: 'from the page' }).waitFor();
    await suite.destroy('tree');
    await node(home).waitFor({ state: 'detached' });
  }, // What goes between the news and the reading of it is answered so, and the browser says it.
  { expected: /status of 404/ },
);

suite.test(
  'events are listed as they happen, newest first, and filtered by words',
  '#/events',
  async (page) => {
    const rows = page.locator('.events tbody tr:visible');
    await suite.create({ name: 'crashing', kernel: 'hello', memory: 4 });
    await rows
      .first()
      .filter({ hasText: /crashing.*created/ })
      .waitFor();
    await suite.type('crashing', 'crash');
    await rows
      .first()
      .filter({ hasText: /crashing.*destroyed/ })
      .waitFor();
    await page.getByLabel('Filter events').fill('CRASHING crashed');
    await rows.filter({ hasText: 'destroyed' }).first().waitFor({ state: 'detached' });
    expect(await rows.filter({ hasText: 'crashed' }).count()).toBe(await rows.count());
    await page.getByLabel('Filter events').fill('zebra');
    await page.getByText('No event has these words.').waitFor();
    await page.getByLabel('Filter events').fill('');
    await rows.first().getByRole('link', { name: 'crashing' }).click();
    await page.locator('.badge', { hasText: 'ended, crashed' }).waitFor();
    await page.locator('.xterm-rows', { hasText: 'panic: unexpected trap 14' }).waitFor();
  },
);

suite.test(
  'the host is seen: its figures, hypercalls by name, and what the hypervisor says',
  '#/host',
  async (page) => {
    const tile = (name: string) => page.locator('.tile', { hasText: new RegExp(`^${name}`) });
    await tile('Domains').locator('b', { hasText: /^0$/ }).waitFor();
    await suite.create({ name: 'counted', kernel: 'hello', memory: 4 });
    await tile('Domains').locator('b', { hasText: /^1$/ }).waitFor();
    await tile('Xen').locator('b', { hasText: '4.17.0-xenolith' }).waitFor();
    await row(page, /^event_channel_op.*\d/).waitFor();
    await page.getByLabel('Messages of the hypervisor').getByText(/\S/).waitFor();
    await page.getByRole('link', { name: 'OpenAPI' }).waitFor();
  },
);
suite.test(
  'the page goes on by itself once the service is there again',
  '',
  async (page) => {
    await page.locator('.link[data-state=up]').waitFor();
    await show(page, 'store');
    await page.getByText(/live, \d+ changes/).waitFor();
    await suite.restart(async () => {
      await page.locator('.link', { hasText: 'no answer' }).waitFor();
      await page.getByText('connection lost, trying again').waitFor();
    });
    await page.locator('.link[data-state=up]').waitFor();
    await page.getByText(/live, \d+ changes/).waitFor();
    await suite.create({ name: 'after', kernel: 'hello', memory: 4 });
    await show(page, 'domains');
    await row(page, 'after').waitFor();
    await show(page, 'events');
    await row(page, /after.*created/).waitFor();
  },
  { expected: /ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET|WebSocket connection to/ },
);
