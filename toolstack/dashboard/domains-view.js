/** The domains: a table of all, or the page of one. */

import { openCreateForm } from './create-form.js';
import { definitionsPanel } from './definitions-panel.js';
import { h, icon, keyed, setText } from './dom.js';
import { actionButtons } from './domain-actions.js';
import { showDomain } from './domain-page.js';
import { duration, pages, percent, secondsSince } from './format.js';
import { domains, ratesOf, showEnded } from './live.js';
import { sparkline } from './sparkline.js';
import { stateBadge } from './state-badge.js';

/** @typedef {import('../schemas/domain.js').Domain} Domain */

const COLUMNS = ['Domain', 'State', 'CPU', 'Memory', 'vCPUs', 'Devices', 'Up', 'Actions'];

/** @type {import('./router.js').View} */
export const domainsView = {
  name: 'domains',
  title: 'Domains',
  show(main, [id], _query, until) {
    if (id === undefined) showList(main, until);
    else showDomain(main, id, until);
  },
};

/**
 * @param {HTMLElement} main
 * @param {AbortSignal} until
 */
function showList(main, until) {
  const ended = h('input', { type: 'checkbox', change: () => showEnded.set(ended.checked) });
  ended.checked = showEnded.value;
  const count = h('span', { class: 'count' });
  const body = h('tbody');
  const table = h(
    'table',
    { class: 'table domains cards' },
    h('caption', { class: 'unseen' }, 'Domains'),
    h('thead', {}, h('tr', {}, ...COLUMNS.map((name) => h('th', { scope: 'col' }, name)))),
    body,
  );
  const empty = emptyState();
  const loading = h('p', { class: 'empty', role: 'status' }, 'Asking the host …');
  main.append(
    h(
      'div',
      { class: 'head' },
      h('h1', {}, 'Domains ', count),
      h('label', { class: 'check' }, ended, 'with ended ones'),
      h(
        'button',
        { class: 'primary', click: openCreateForm, title: 'Create a domain (n)' },
        icon('plus'),
        'New domain',
      ),
    ),
    table,
    empty,
    loading,
    definitionsPanel(until),
  );
  const update = keyed(body, (/** @type {Domain} */ domain) => domain.uuid, makeRow);
  domains.watch((list) => {
    const isEmpty = list !== undefined && list.length === 0;
    table.hidden = list === undefined || isEmpty;
    empty.hidden = !isEmpty;
    loading.hidden = list !== undefined;
    setText(count, list?.filter(({ state }) => state !== 'ended').length ?? '');
    update(list ?? []);
  }, until);
}

const emptyState = () =>
  h(
    'div',
    { class: 'empty', hidden: true },
    h('h2', {}, 'No domain runs here yet'),
    h('p', {}, 'Create one from the image "hello": it greets, and has a small shell to talk to.'),
    h('button', { class: 'primary', click: openCreateForm }, icon('plus'), 'New domain'),
    h(
      'p',
      { class: 'hint' },
      'or from a shell: ',
      h('code', {}, 'npm run xl -- create name=hello kernel=hello'),
    ),
  );

/** @param {Domain} domain */
function makeRow(domain) {
  const name = h('a', { 'data-row': true, href: `#/domains/${domain.uuid}` });
  const kernel = h('span', { class: 'sub' });
  const badge = stateBadge();
  const spark = sparkline();
  const share = h('span', { class: 'figure' });
  const memory = h('span', { class: 'figure' });
  const vcpus = h('span', { class: 'figure' });
  const devices = h('span');
  const up = h('span', { class: 'figure' });
  const actions = actionButtons(domain);
  const cells = [
    h('td', { class: 'name' }, name, kernel),
    h('td', {}, badge.element),
    h('td', { class: 'cpu', 'data-label': 'CPU' }, spark.element, share),
    h('td', { 'data-label': 'Memory' }, memory),
    h('td', { 'data-label': 'vCPUs' }, vcpus),
    h('td', { 'data-label': 'Devices' }, devices),
    h('td', { 'data-label': 'Up' }, up),
    h('td', { class: 'last' }, actions.element),
  ];
  return {
    element: h('tr', {}, ...cells),
    /** @param {Domain} now */
    update(now) {
      const { cpu, now: load } = ratesOf(now.uuid);
      setText(name, now.name);
      setText(kernel, `${now.domid} · ${now.kernel.split('/').pop() ?? ''}`);
      setText(share, now.endedAt ? '–' : percent(load));
      setText(memory, pages(now.memory.pages));
      setText(vcpus, `${now.vcpus.online} of ${now.vcpus.max}`);
      setText(devices, devicesOf(now));
      setText(up, now.endedAt ? '–' : duration(secondsSince(now.createdAt)));
      spark.update(cpu);
      badge.update(now);
      actions.update(now);
    },
  };
}

/** @param {Domain} domain */
function devicesOf({ disks, vifs }) {
  const words = [
    ...disks.map(({ vdev }) => vdev),
    ...vifs.map(({ devid, ip }) => ip ?? `eth${devid}`),
  ];
  return words.join(', ') || '–';
}
