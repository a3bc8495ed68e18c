/** What tests of the dashboard have in common: one service, one browser, and a page of its own for each test. */

import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll } from 'vitest';
import { CHROMIUM, launchBrowser, onPage } from './dashboard-page.js';
import { testWithPeer } from './peer.js';
import { startTestService, type TestService } from './service.js';

type PageOptions = Parameters<typeof onPage>[3];

export class DashboardSuite {
  #service: TestService | undefined;
  #browser: Promise<Browser> | undefined;

  /** To be made at the top of a file of tests. */
  constructor() {
    beforeAll(async () => {
      this.#service = await startTestService({ memory: 64 });
    });
    afterEach(() => this.#clear());
    afterAll(async () => {
      await (await this.#browser)?.close();
      await this.#service?.close();
    });
  }

  get service(): TestService {
    if (this.#service === undefined) throw new Error('asked for outside of a test');
    return this.#service;
  }

  browser(): Promise<Browser> {
    this.#browser ??= launchBrowser();
    return this.#browser;
  }

  /** A test at an address of the service, without an error of the page or a request to another origin. */
  test(
    name: string,
    address: string,
    body: (page: Page) => Promise<void>,
    options?: PageOptions,
  ): void {
    testWithPeer('chromium', [CHROMIUM], name, async () => {
      await onPage(await this.browser(), `${this.service.url}/${address}`, body, options);
    });
  }

  /** Stops the service, calls `meanwhile`, and starts another one in its place. */
  async restart(meanwhile: () => Promise<void>): Promise<void> {
    const port = Number(new URL(this.service.url).port);
    await this.service.close();
    await meanwhile();
    this.#service = await startTestService({ memory: 64, port });
  }

  readonly create = (config: object) => this.service.request('POST', '/v1/domains', config);
  readonly destroy = (id: string) => this.service.request('DELETE', `/v1/domains/${id}`);
  readonly type = (name: string, line: string) =>
    fetch(`${this.service.url}/v1/domains/${name}/console`, { method: 'POST', body: `${line}\r` });

  async #clear(): Promise<void> {
    const { domains } = (await this.service.request('GET', '/v1/domains')).json;
    for (const { uuid } of domains) await this.destroy(uuid);
    const { definitions } = (await this.service.request('GET', '/v1/definitions')).json;
    for (const { config } of definitions) {
      await this.service.request('DELETE', definition(config.name));
    }
  }
}

export const definition = (name: string): string => `/v1/definitions/${name}`;

export const show = (page: Page, address: string): Promise<unknown> =>
  page.evaluate(`location.hash = '#/${address}'`);
