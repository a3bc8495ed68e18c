/** The dashboard for whoever has no mouse, a small screen, a screen reader, tired eyes, or a token that allows little. */

import type { Page } from 'playwright-core';
import { expect } from 'vitest';
import {
  CHROMIUM,
  contrasts,
  namelessControls,
  onPage,
  PHONE,
  sideways,
  unreachable,
} from '../support/dashboard-page.js';
import { DashboardSuite, definition, show } from '../support/dashboard-suite.js';
import { testWithPeer } from '../support/peer.js';
import { startTestService } from '../support/service.js';

const suite = new DashboardSuite();

suite.test(
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
    await page.locator('tbody tr', { hasText: 'keys' }).waitFor();
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

const VIEWS = ['domains', 'domains/shown', 'trace', 'store', 'events', 'host', 'nowhere'];

suite.test(
  'no view is wider than a phone, all is in reach of a finger, and every control has a name',
  '',
  async (page) => {
    await suite.create({ name: 'shown', kernel: 'hello', memory: 4 });
    const config = { name: 'remembered', kernel: 'hello' };
    await suite.service.request('PUT', definition('remembered'), { config });
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
  domains: '.definitions .name',
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

suite.test(
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

suite.test('the document of the API is read at /docs', 'docs', async (page) => {
  const { headers } = await suite.service.request('GET', '/docs');
  expect(headers.get('content-security-policy')).toContain("default-src 'none'; script-src 'self'");
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
    const browser = await suite.browser();
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
