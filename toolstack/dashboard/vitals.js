/** The host in the header: how busy, how full, whether it answers. */

import { h, setAttribute, setText } from './dom.js';
import { pages, percent } from './format.js';
import { host, hostRates, isUp } from './live.js';
import { sparkline } from './sparkline.js';

const FOREVER = new AbortController().signal;

export function showVitals() {
  const cpu = h('b', {}, '–');
  const memory = h('b', {}, '–');
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
      h('a', { href: '#/host', class: 'vital' }, h('span', {}, 'Memory'), meter, memory),
      h('span', { role: 'status' }, state),
    );
  hostRates.watch((rates) => {
    spark.update(rates.cpu);
    const now = rates.cpu.at(-1);
    if (now !== undefined) setText(cpu, percent(now));
  }, FOREVER);
  host.watch((figures) => {
    if (figures === undefined) return;
    const { totalFrames, freeFrames } = figures.memory;
    setText(memory, `${pages(totalFrames - freeFrames)} of ${pages(totalFrames)}`);
    meter.value = (totalFrames - freeFrames) / totalFrames;
    setText(state, 'live');
  }, FOREVER);
  isUp.watch((up) => {
    setAttribute(state, 'data-state', up ? 'up' : 'down');
    if (!up) setText(state, 'no answer');
    else if (host.value !== undefined) setText(state, 'live');
  }, FOREVER);
}
