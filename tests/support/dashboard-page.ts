/** A page of the dashboard in a real browser: what goes wrong on it is kept, and what it asks of other origins. */

import { type Browser, chromium, type Page } from 'playwright-core';

export const CHROMIUM = '/usr/bin/chromium';

export const PHONE = { width: 390, height: 844 };
const DESKTOP = { width: 1280, height: 800 };

/** A slow machine that is busy with other things as well, milliseconds. */
const PATIENCE_MS = 120_000;

interface PageOptions {
  readonly viewport?: { readonly width: number; readonly height: number };
  readonly colorScheme?: 'light' | 'dark';
  /** Errors that the test brings about. */
  readonly expected?: RegExp;
}

export const launchBrowser = (): Promise<Browser> =>
  chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] });

/** Runs the body on a page at the address. @throws Error if the page has told an error or has asked anything of another origin. */
export async function onPage(
  browser: Browser,
  url: string,
  body: (page: Page) => Promise<void>,
  { viewport = DESKTOP, colorScheme = 'light', expected }: PageOptions = {},
): Promise<void> {
  const context = await browser.newContext({ viewport, colorScheme });
  const wrong: string[] = [];
  const note = (text: string): void => {
    if (expected?.test(text) !== true) wrong.push(text);
  };
  try {
    const page = await context.newPage();
    page.setDefaultTimeout(PATIENCE_MS);
    page.on('console', (message) => message.type() === 'error' && note(message.text()));
    page.on('pageerror', (error) => note(String(error)));
    page.on('request', (request) => {
      const isOwn = request.url().startsWith(`${new URL(url).origin}/`);
      if (!isOwn && !request.url().startsWith('data:')) note(`asked for ${request.url()}`);
    });
    await page.goto(url);
    await body(page);
  } finally {
    await context.close();
  }
  if (wrong.length > 0) throw new Error(wrong.join('\n'));
}

/** Controls that are seen and have no name for who does not see them, as the browser's accessibility tree has it. */
export async function namelessControls(page: Page): Promise<string[]> {
  const session = await page.context().newCDPSession(page);
  const { nodes } = await session.send('Accessibility.getFullAXTree');
  await session.detach();
  return nodes
    .filter(({ ignored, role }) => !ignored && CONTROLS.has(role?.value))
    .filter(({ name }) => !String(name?.value ?? '').trim())
    .map(({ role, backendDOMNodeId }) => `${role?.value} (node ${backendDOMNodeId})`);
}

const CONTROLS: ReadonlySet<unknown> = new Set(
  'button link checkbox combobox spinbutton textbox searchbox switch treeitem tree dialog log table meter'.split(
    ' ',
  ),
);

/** Controls that a finger does not meet: smaller than 44 by 44 pixels, or with something else above their middle. */
export const unreachable = (page: Page): Promise<string[]> => page.evaluate(UNREACHABLE);

/** Pixels that the page can be scrolled sideways. */
export const sideways = (page: Page): Promise<number> =>
  page.evaluate('document.documentElement.scrollWidth - innerWidth');

// What runs in the browser is text here: this program's types know no documents.

const UNREACHABLE = `
  [...document.querySelectorAll(
    'button, select, summary, input, a:not(td.detail a, p a, .skip), [role=treeitem] > .label'
  )].flatMap((element) => {
    if (element.closest('.xterm') || !element.checkVisibility()) return [];
    if (document.querySelector('dialog[open]') && !element.closest('dialog')) return [];
    const target = element.closest('label') ?? element;
    target.scrollIntoView({ block: 'center' });
    const { left, top, width, height } = target.getBoundingClientRect();
    const met = document.elementFromPoint(left + width / 2, top + height / 2);
    const isMet = met !== null && target.contains(met);
    const name = element.getAttribute('aria-label') || element.textContent || element.id;
    const size = Math.round(width) + ' x ' + Math.round(height);
    return isMet && width > 43.5 && height > 43.5
      ? []
      : [element.tagName + ' "' + name + '", ' + size + (isMet ? '' : ', covered by ' + met?.outerHTML.slice(0, 80))];
  })`;

/** Contrast of text and of what can be filled in, by name, as WCAG counts it: 1 is none, 21 is black on white. */
export const contrasts = (page: Page): Promise<Record<string, number>> => page.evaluate(CONTRASTS);

const CONTRASTS = `(() => {
  const parse = (color) => {
    const numbers = color.match(/[0-9.]+(e-?[0-9]+)?/g).map(Number);
    const [r, g, b, a = 1] = color.startsWith('color(srgb')
      ? [...numbers.slice(0, 3).map((x) => x * 255), numbers[3]]
      : numbers;
    return { r, g, b, a };
  };
  const over = (top, below) => {
    const mix = (name) => top[name] * top.a + below[name] * (1 - top.a);
    return { r: mix('r'), g: mix('g'), b: mix('b'), a: 1 };
  };
  const light = ({ r, g, b }) => {
    const [x, y, z] = [r, g, b].map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const contrast = (a, b) => {
    const [dark, bright] = [light(a), light(b)].sort((x, y) => x - y);
    return (bright + 0.05) / (dark + 0.05);
  };
  const probe = document.body.appendChild(document.createElement('div'));
  const colour = (name) => {
    probe.style.color = 'var(--' + name + ')';
    return parse(getComputedStyle(probe).color);
  };
  const found = {};
  for (const ground of ['page', 'surface', 'raised'])
    for (const name of ['text', 'muted', 'accent', 'good', 'warn', 'bad', 'edge'])
      found[name + ' on ' + ground] = contrast(colour(name), colour(ground));
  found['on-accent on accent'] = contrast(colour('on-accent'), colour('accent'));
  found['on-accent on bad'] = contrast(colour('on-accent'), colour('bad'));
  for (const state of ['running', 'blocked', 'paused', 'crash', 'ended', 'created', 'shutdown']) {
    probe.className = 'badge';
    probe.dataset.state = state;
    probe.style.color = '';
    const { color, backgroundColor } = getComputedStyle(probe);
    const ground = over(parse(backgroundColor), colour('surface'));
    probe.style.color = '';
    found['badge ' + state] = contrast(parse(color), ground);
  }
  probe.remove();
  return found;
})()`;
