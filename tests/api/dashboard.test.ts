/** The dashboard: served with a strict policy, and driven in a real browser. */

import { chromium } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { testWithPeer } from '../support/peer.js';
import { startTestService, type TestService } from '../support/service.js';

const CHROMIUM = '/usr/bin/chromium';

let service: TestService;
beforeAll(async () => {
  service = await startTestService({ memory: 64 });
});
afterAll(() => service.close());

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

testWithPeer(
  'chromium',
  [CHROMIUM],
  'a domain is created, typed to, seen to make hypercalls and destroyed, without an error of the page',
  async () => {
    const browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] });
    try {
      const page = await browser.newPage({ viewport: { width: 390, height: 844 } });
      const errors: string[] = [];
      page.on('console', (message) => message.type() === 'error' && errors.push(message.text()));
      page.on('pageerror', (error) => errors.push(String(error)));
      await page.goto(service.url);
      await page.getByRole('heading', { name: 'No domain runs here yet' }).waitFor();
      await page.keyboard.press('n');
      await page.getByLabel('Name').fill('seen');
      await page.getByLabel('Kernel').fill('hello');
      await page.getByRole('button', { name: 'Create' }).click();
      await page.locator('.xterm-rows', { hasText: 'hello>' }).waitFor();
      await page.locator('.xterm-helper-textarea').focus();
      await page.keyboard.type('echo typed here\r');
      await page.locator('.xterm-rows > div', { hasText: /^typed here/ }).waitFor();
      await page.goto(`${service.url}/#/trace`);
      await page.getByText(/ a second, /).waitFor();
      await fetch(`${service.url}/v1/domains/seen/console`, { method: 'POST', body: 'mem\r' });
      await page.locator('.lines .call', { hasText: 'event_channel_op' }).first().waitFor();
      await page.getByLabel('faults').check();
      await page.getByText(/ a second, /).waitFor();
      await page.goto(`${service.url}/#/domains`);
      await page.getByRole('button', { name: 'Destroy' }).click();
      await page.getByRole('dialog').getByRole('button', { name: 'Destroy' }).click();
      await page.getByRole('heading', { name: 'No domain runs here yet' }).waitFor();
      expect(errors).toEqual([]);
      expect(await page.evaluate('document.documentElement.scrollWidth - innerWidth')).toBe(0);
    } finally {
      await browser.close();
    }
  },
);
