/** One domain: its console, and what there is to know about it. */

import { consolePanel } from './console.js';
import { h, icon, keyed, setText } from './dom.js';
import { actionButtons } from './domain-actions.js';
import { bytes, duration, pages, percent, secondsSince } from './format.js';
import { domains, find, ratesOf } from './live.js';
import { sparkline } from './sparkline.js';
import { stateBadge } from './state-badge.js';

/** @typedef {import('../schemas/domain.js').Domain} Domain */
/** @typedef {{ key: string, name: string, value: string }} Fact */

/**
 * @param {HTMLElement} main
 * @param {string} id
 * @param {AbortSignal} until
 */
export function showDomain(main, id, until) {
  const back = h(
    'a',
    { class: 'back', href: '#/domains', 'aria-label': 'All domains' },
    icon('back'),
  );
  const missing = h('p', { class: 'empty' }, `Looking for ${id} …`);
  main.append(missing);
  /** @type {{ update(domain: Domain): void } | undefined} */
  let page;
  domains.watch((list) => {
    const domain = find(id);
    if (domain !== undefined) {
      page ??= build(main, back, domain, until);
      page.update(domain);
    } else if (list !== undefined && page === undefined) {
      missing.replaceChildren(
        `There is no domain ${id} any more. `,
        h('a', { href: '#/domains' }, 'All domains'),
      );
    } else if (list !== undefined)
      page?.update({ .../** @type {Domain} */ (last.get(id)), state: 'ended' });
    if (domain !== undefined) last.set(id, domain);
  }, until);
}

/** Domains as they were seen last, by the name under which they are shown. @type {Map<string, Domain>} */
const last = new Map();

/**
 * @param {HTMLElement} main
 * @param {HTMLElement} back
 * @param {Domain} domain
 * @param {AbortSignal} until
 */
function build(main, back, domain, until) {
  const name = h('span', {}, domain.name);
  const badge = stateBadge();
  const actions = actionButtons(domain);
  const facts = factsPanel(domain);
  main.replaceChildren(
    h(
      'div',
      { class: 'head' },
      back,
      h('h1', {}, name),
      badge.element,
      h(
        'a',
        { class: 'button', href: `#/trace?domain=${domain.uuid}` },
        icon('trace'),
        h('span', {}, 'Trace'),
      ),
      actions.element,
    ),
    h('div', { class: 'split' }, consolePanel(domain, until), facts.element),
  );
  return {
    /** @param {Domain} now */
    update(now) {
      setText(name, now.name);
      badge.update(now);
      actions.update(now);
      facts.update(now);
    },
  };
}

/** @param {Domain} first */
function factsPanel(first) {
  const spark = sparkline();
  const share = h('b', {});
  const detail = h('p', { class: 'warning', role: 'note', hidden: true });
  const list = h('dl', { class: 'facts' });
  const update = keyed(list, (/** @type {Fact} */ fact) => fact.key, makeFact);
  const element = h(
    'aside',
    { class: 'panel', 'aria-label': `Figures of ${first.name}` },
    detail,
    h('div', { class: 'load' }, h('span', {}, 'CPU'), share, spark.element),
    list,
  );
  return {
    element,
    /** @param {Domain} domain */
    update(domain) {
      const { cpu, now } = ratesOf(domain.uuid);
      setText(share, percent(now));
      spark.update(cpu);
      detail.hidden = domain.detail === undefined;
      setText(detail, domain.detail ?? '');
      update(factsOf(domain));
    },
  };
}

/** @param {Fact} fact */
function makeFact({ name }) {
  const value = h('dd');
  return {
    element: h('div', {}, h('dt', {}, name), value),
    /** @param {Fact} fact */
    update: (fact) => setText(value, fact.value),
  };
}

/** @param {Domain} domain
 * @returns {Fact[]}
 */
function factsOf({ domid, uuid, kernel, cmdline, memory, vcpus, weight, cap, ...domain }) {
  const rows = [
    ['Domain', String(domid)],
    ['Memory', `${pages(memory.pages)} of at most ${pages(memory.maxPages)}`],
    ...vcpus.list
      .filter(({ state }) => state !== 'offline')
      .map((vcpu) => [`vCPU ${vcpu.id}`, `${vcpu.state}, ${vcpu.cpuSeconds.toFixed(2)} s`]),
    ['Scheduler', cap === 0 ? `weight ${weight}` : `weight ${weight}, at most ${cap}% of a CPU`],
    ['Up', domain.endedAt ? 'ended' : duration(secondsSince(domain.createdAt))],
    ['Kernel', kernel],
    ['Command line', cmdline || '–'],
    ...domain.disks.map((disk) => [disk.vdev, diskText(disk)]),
    ...domain.vifs.map((vif) => [`eth${vif.devid}`, vifText(vif)]),
    ['UUID', uuid],
  ];
  return rows.map(([name = '', value = '']) => ({ key: name, name, value }));
}

/** @param {Domain['disks'][number]} disk */
const diskText = ({ target, access, state, counters }) =>
  `${target} (${access}), ${state}; ${bytes(counters['bytesRead'] ?? 0)} read, ${bytes(counters['bytesWritten'] ?? 0)} written`;

/** @param {Domain['vifs'][number]} vif */
const vifText = ({ mac, ip, bridge, state, counters }) =>
  `${ip ?? mac} on ${bridge}, ${state}; ${bytes(counters['rxBytes'] ?? 0)} in, ${bytes(counters['txBytes'] ?? 0)} out`;
