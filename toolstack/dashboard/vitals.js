/** The host in the header: how busy, how full, whether it answers. */

import { h, setAttribute, setText } from './dom.js';
import { pages, percent } from './format.js';
import { host, hostRates, isUp } from './live.js';
import { sparkline } from './sparkline.js';
import { themeSwitch } from './theme.js';

const FOREVER = new AbortController().signal;

export function showVitals() {
  const cpu = h('b', {}, '–');
  const used = h('span', {}, '–');
  const all = h('span', { class: 'all' });
  const meter = h('meter', {
    min: 0,
    max: 1,
    low: 0.8,
    high: 0.95,
    optimum: 0,
    'aria-label': 'Memory in use',
  });
  const state = h('span', { class: 'link' }, 'connecting');
  const spark = sparkline();
  document
    .getElementById('vitals')
    ?.append(
      h('a', { href: '#/host', class: 'vital' }, h('span', {}, 'CPU'), spark.element, cpu),
      h(
        'a',
        { href: '#/host', class: 'vital' },
        h('span', {}, 'Memory'),
        meter,
        h('b', {}, used, all),
      ),
      h('span', { role: 'status' }, state),
      themeSwitch(),
    );
  hostRates.watch((rates) => {
    spark.update(rates.cpu);
    const now = rates.cpu.at(-1);
    if (now !== undefined) setText(cpu, percent(now));
  }, FOREVER);
  host.watch((figures) => {
    if (figures === undefined) return;
    const { totalFrames, freeFrames } = figures.memory;
    setText(used, pages(totalFrames - freeFrames));
    setText(all, ` of ${pages(totalFrames)}`);
    meter.value = (totalFrames - freeFrames) / totalFrames;
  }, FOREVER);
  isUp.watch((up) => {
    if (up === undefined) return;
    setAttribute(state, 'data-state', up ? 'up' : 'down');
    setText(state, up ? 'live' : 'no answer');
  }, FOREVER);
}
