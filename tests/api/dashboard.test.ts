/** The dashboard: served with a strict policy, and driven in a real browser. */

import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import {
  CHROMIUM,
  contrasts,
  launchBrowser,
  namelessControls,
  onPage,
  PHONE,
  sideways,
  unreachable,
} from '../support/dashboard-page.js';
import { testWithPeer } from '../support/peer.js';
import { startTestService, type TestService } from '../support/service.js';

let service: TestService;
let browser: Browser | undefined;
beforeAll(async () => {
  service = await startTestService({ memory: 64 });
});
afterEach(async () => {
  const { json } = await service.request('GET', '/v1/domains');
  for (const { uuid } of json.domains) await destroy(uuid);
});
afterAll(async () => {
  await browser?.close();
  await service.close();
});

test('the page loads nothing from elsewhere, and is not sent again to who has it', async () => {
  const { status, headers } = await service.request('GET', '/');
  expect(status).toBe(200);
  expect(headers.get('content-security-policy')).toContain("default-src 'none'; script-src 'self'");
  const known = { 'if-none-match': headers.get('etag') ?? '' };
  expect((await fetch(`${service.url}/`, { headers: known })).status).toBe(304);
});

test.each(['README.md', 'tsconfig.json', '..%2foptions.ts'])('%s is not served', async (name) => {
  expect((await service.request('GET', `/dashboard/${name}`)).status).toBe(404);
});

type PageOptions = Parameters<typeof onPage>[3];

/** A test on a page of its own, at an address of the service, without an error of the page or a request to another origin. */
function testInBrowser(
  name: string,
  address: string,
  body: (page: Page) => Promise<void>,
  options?: PageOptions,
): void {
  testWithPeer('chromium', [CHROMIUM], name, async () => {
    browser ??= await launchBrowser();
    await onPage(browser, `${service.url}/${address}`, body, options);
  });
}

const create = (config: object) => service.request('POST', '/v1/domains', config);
const destroy = (name: string) => service.request('DELETE', `/v1/domains/${name}`);
const type = (name: string, line: string) =>
  fetch(`${service.url}/v1/domains/${name}/console`, { method: 'POST', body: `${line}\r` });
const show = (page: Page, address: string) => page.evaluate(`location.hash = '#/${address}'`);
const row = (page: Page, text: string | RegExp) => page.locator('tbody tr', { hasText: text });

testInBrowser(
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
    await type('seen', 'mem');
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

testInBrowser(
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

testInBrowser(
  'a domain is created and destroyed without a mouse, and focus is seen',
  '',
  async (page) => {
    await page.getByRole('heading', { name: 'No domain runs here yet' }).waitFor();
    await page.keyboard.press('Tab');
    expect(await focused(page)).toMatchObject({ name: 'Skip to the content', seen: true });
    await page.keyboard.press('Enter');
    await page.keyboard.press('Tab');
    expect(await focused(page)).toMatchObject({ id: '', type: 'checkbox', seen: true });
    await page.keyboard.press('Tab');
    expect(await focused(page)).toMatchObject({ name: 'New domain', seen: true });
    await page.keyboard.press('Enter');
    await page.getByRole('dialog').waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    expect(await focused(page)).toMatchObject({ name: 'New domain' });
    await page.keyboard.press('n');
    for (const [id, text] of [
      ['new-name', 'keys'],
      ['new-kernel', 'hello'],
      ['new-memory', ''],
    ] as const) {
      expect(await focused(page)).toMatchObject({ id, seen: true });
      await page.keyboard.type(text);
      await page.keyboard.press('Tab');
    }
    await page.keyboard.press('Enter');
    await page.locator('.xterm-rows', { hasText: 'hello>' }).waitFor();
    await page.keyboard.type('echo from keys\r');
    await page.locator('.xterm-rows > div', { hasText: /^from keys/ }).waitFor();
    await page.keyboard.press('Control+]');
    await page.keyboard.press('1');
    await row(page, 'keys').waitFor();
    await page.keyboard.press('ArrowDown');
    expect(await focused(page)).toMatchObject({ name: 'keys', seen: true });
    for (const name of ['Pause keys', 'Reboot keys', 'Shut down keys', 'Destroy keys']) {
      await page.keyboard.press('Tab');
      expect(await focused(page)).toMatchObject({ name, seen: true });
    }
    await page.keyboard.press('Enter');
    expect(await focused(page)).toMatchObject({ name: 'Cancel', seen: true });
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    expect(await focused(page)).toMatchObject({ name: 'Destroy keys' });
    await page.keyboard.press('Enter');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'No domain runs here yet' }).waitFor();
  },
);

interface Focused {
  readonly id: string;
  readonly name: string;
  readonly type: string | null;
  /** It has an outline. */
  readonly seen: boolean;
}
const focused = (page: Page): Promise<Focused> =>
  page.evaluate(`(() => {
    const element = document.activeElement;
    const { outlineStyle, outlineWidth } = getComputedStyle(element);
    return {
      id: element.id,
      name: element.getAttribute('aria-label') ?? element.textContent,
      type: element.getAttribute('type'),
      seen: outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2,
    };
  })()`);

testInBrowser(
  'the trace is filtered and summed up, and says why a call was refused',
  '#/trace',
  async (page) => {
    await create({ name: 'traced', kernel: 'hello', memory: 4 });
    const calls = page.locator('.lines details:visible .call');
    await calls.filter({ hasText: 'event_channel_op' }).first().waitFor();
    await page.getByLabel('Filter the trace').fill('"op(send" -sched_op');
    await type('traced', 'hypercall 5');
    await calls.filter({ hasNotText: 'event_channel_op' }).first().waitFor({ state: 'detached' });
    await calls.filter({ hasText: 'event_channel_op(send' }).first().waitFor();
    await page.getByLabel('Filter the trace').fill('ENOSYS');
    await type('traced', 'hypercall 63');
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

testInBrowser(
  'the tree of XenStore follows what the toolstack, REST and a guest write',
  '',
  async (page) => {
    const node = (path: string) => page.locator(`[data-path="${path}"] > .label`);
    const disk = { kernel: 'disk', memory: 8, paused: true, onPoweroff: 'preserve' };
    await service.request('POST', '/v1/disks', { name: 'tree.img', size: 8 * 2 ** 20 });
    const { json } = await create({
      ...disk,
      name: 'tree',
      disks: [{ vdev: 'xvda', target: 'tree.img' }],
    });
    const home = `/local/domain/${json.domid}`;
    await show(page, 'store');
    await page.getByText(/live, \d+ changes/).waitFor();
    await node(home).click();
    await node(`${home}/name`).filter({ hasText: 'tree' }).waitFor();
    await service.request('PUT', `/v1/xenstore${home}/name`, { value: 'renamed' });
    await node(`${home}/name`).filter({ hasText: 'renamed' }).waitFor();
    for (const part of ['device', 'device/vbd', 'device/vbd/51712'])
      await node(`${home}/${part}`).click();
    await node(`${home}/device/vbd/51712/backend`).waitFor();
    expect(await node(`${home}/device/vbd/51712/ring-ref`).count()).toBe(0);
    await service.request('POST', '/v1/domains/tree/actions/unpause');
    await node(`${home}/device/vbd/51712/ring-ref`).waitFor();
    await node(`${home}/name`).click();
    await page.getByLabel('Value').fill('from the page');
    await page.getByRole('button', { name: 'Write' }).click();
    await node(`${home}/name`).filter({ hasText: 'from the page' }).waitFor();
    await destroy('tree');
    await node(home).waitFor({ state: 'detached' });
  }, // What goes between the news and the reading of it is answered so, and the browser says it.
  { expected: /status of 404/ },
);

testInBrowser(
  'events are listed as they happen, newest first, and filtered by words',
  '#/events',
  async (page) => {
    const rows = page.locator('.events tbody tr:visible');
    await create({ name: 'crashing', kernel: 'hello', memory: 4 });
    await rows
      .first()
      .filter({ hasText: /crashing.*created/ })
      .waitFor();
    await type('crashing', 'crash');
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

testInBrowser(
  'the host is seen: its figures, hypercalls by name, and what the hypervisor says',
  '#/host',
  async (page) => {
    const tile = (name: string) => page.locator('.tile', { hasText: new RegExp(`^${name}`) });
    await tile('Domains').locator('b', { hasText: /^0$/ }).waitFor();
    await create({ name: 'counted', kernel: 'hello', memory: 4 });
    await tile('Domains').locator('b', { hasText: /^1$/ }).waitFor();
    await tile('Xen').locator('b', { hasText: '4.17.0-xenolith' }).waitFor();
    await row(page, /^event_channel_op.*\d/).waitFor();
    await page.getByLabel('Messages of the hypervisor').getByText(/\S/).waitFor();
    await page.getByRole('link', { name: 'OpenAPI' }).waitFor();
  },
);

const VIEWS = ['domains', 'domains/shown', 'trace', 'store', 'events', 'host', 'nowhere'];

testInBrowser(
  'no view is wider than a phone, all is in reach of a finger, and every control has a name',
  '',
  async (page) => {
    await create({ name: 'shown', kernel: 'hello', memory: 4 });
    for (const view of VIEWS) {
      await show(page, view);
      await settled(page, view);
      const seen = {
        sideways: await sideways(page),
        unreachable: await unreachable(page),
        nameless: await namelessControls(page),
      };
      expect({ view, ...seen }).toEqual({ view, sideways: 0, unreachable: [], nameless: [] });
    }
    await show(page, 'domains');
    await page.getByRole('button', { name: 'New domain' }).click();
    await page.getByText('More').click();
    expect(await unreachable(page)).toEqual([]);
    expect(await namelessControls(page)).toEqual([]);
    await page.keyboard.press('Escape');
  },
  { viewport: PHONE },
);

/** What a view shows once it has its data. */
const MARKS: Readonly<Record<string, string>> = {
  domains: 'td.name',
  'domains/shown': '.xterm-rows',
  trace: '.lines',
  store: '[role=treeitem]',
  events: 'td.time',
  host: '.tile',
  nowhere: 'h1',
};
const settled = (page: Page, view: string) =>
  page
    .locator(MARKS[view] ?? 'h1')
    .first()
    .waitFor();

testInBrowser(
  'colours follow the system or the switch, which is remembered, and have contrast enough',
  '',
  async (page) => {
    const background = () => page.evaluate('getComputedStyle(document.body).backgroundColor');
    const light = await background();
    await page.emulateMedia({ colorScheme: 'dark' });
    const dark = await background();
    expect(dark).not.toBe(light);
    await page.getByRole('button', { name: 'Colours: as the system has it' }).click();
    expect(await background()).toBe(light);
    await page.reload();
    await page.getByRole('button', { name: 'Colours: light' }).waitFor();
    await expectContrast(page);
    await page.getByRole('button', { name: 'Colours: light' }).click();
    expect(await background()).toBe(dark);
    await expectContrast(page);
  },
);

/** What WCAG asks for: 4.5 for text, 3 for the edge of what can be filled in. */
async function expectContrast(page: Page): Promise<void> {
  const found = Object.entries(await contrasts(page));
  expect(found.length).toBeGreaterThan(20);
  const poor = found.filter(([pair, contrast]) => contrast < (pair.startsWith('edge') ? 3 : 4.5));
  expect(poor).toEqual([]);
}

testInBrowser('the document of the API is read at /docs', 'docs', async (page) => {
  await page
    .locator('.opblock-summary-path', { hasText: '/v1/domains/{id}/console' })
    .first()
    .waitFor();
});

testWithPeer(
  'chromium',
  [CHROMIUM],
  'a token is asked for until it is one, and a viewer is told what is not for viewers',
  async () => {
    browser ??= await launchBrowser();
    const guarded = await startTestService({ memory: 16, listen: '0.0.0.0' });
    try {
      const url = guarded.url.replace('0.0.0.0', '127.0.0.1');
      const bearer = { authorization: `Bearer ${guarded.firstToken}` };
      const post = (path: string, body: object) => guarded.request('POST', path, body, bearer);
      const viewer = (await post('/v1/tokens', { name: 'v', scope: 'viewer' })).json.token;
      await post('/v1/domains', { name: 'kept', kernel: 'hello', memory: 4 });
      const expected = /status of 40[13]/;
      await onPage(browser, url, (page) => useAsViewer(page, viewer), { expected });
      await onPage(
        browser,
        url,
        async (page) => {
          await giveToken(page, guarded.firstToken ?? '');
          await page.getByRole('button', { name: 'Destroy kept' }).click();
          await page.getByRole('dialog').getByRole('button', { name: 'Destroy' }).click();
          await page.getByRole('heading', { name: 'No domain runs here yet' }).waitFor();
        },
        { expected },
      );
    } finally {
      await guarded.close();
    }
  },
);

async function giveToken(page: Page, token: string): Promise<void> {
  await page.locator('#token').fill(token);
  await page.keyboard.press('Enter');
}

async function useAsViewer(page: Page, token: string): Promise<void> {
  await giveToken(page, 'wrong');
  await page.getByRole('alert').filter({ hasText: 'does not take this token' }).waitFor();
  await page.keyboard.press('Escape');
  await giveToken(page, token);
  await page.getByRole('button', { name: 'Destroy kept' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Destroy' }).click();
  await page.getByText('This needs a token of scope operator').waitFor();
  await page.getByRole('link', { name: 'kept' }).click();
  await page.locator('.xterm-rows', { hasText: 'hello>' }).waitFor();
  await page.getByText('to read only').waitFor();
}

testInBrowser(
  'the page goes on by itself once the service is there again',
  '',
  async (page) => {
    await page.getByText('live', { exact: true }).waitFor();
    await show(page, 'store');
    await page.getByText(/live, \d+ changes/).waitFor();
    const port = Number(new URL(service.url).port);
    await service.close();
    await page.getByText('no answer', { exact: true }).waitFor();
    await page.getByText('connection lost, trying again').waitFor();
    service = await startTestService({ memory: 64, port });
    await page.getByText('live', { exact: true }).waitFor();
    await page.getByText(/live, \d+ changes/).waitFor();
    await create({ name: 'after', kernel: 'hello', memory: 4 });
    await show(page, 'domains');
    await row(page, 'after').waitFor();
    await show(page, 'events');
    await row(page, /after.*created/).waitFor();
  },
  { expected: /ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET|WebSocket connection to/ },
);
