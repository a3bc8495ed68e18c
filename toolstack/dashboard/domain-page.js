/** One domain: its console, and what there is to know about it. */

import { Problem, request } from './api.js';
import { consolePanel } from './console.js';
import { h, icon, keyed, setText } from './dom.js';
import { actionButtons } from './domain-actions.js';
import { bytes, clock, duration, pages, percent, secondsSince } from './format.js';
import { domains, find, ratesOf } from './live.js';
import { sparkline } from './sparkline.js';
import { stateBadge } from './state-badge.js';
import { complain } from './toast.js';

/** @typedef {import('../schemas/domain.js').Domain} Domain */
/** @typedef {{ key: string, name: string, value: string }} Fact */

/**
 * @param {HTMLElement} main
 * @param {string} id
 * @param {AbortSignal} until
 */
export function showDomain(main, id, until) {
  const waiting = h('p', { class: 'empty', role: 'status' }, `Looking for ${id} …`);
  main.append(waiting);
  /** @type {{ update(domain: Domain): void } | undefined} */
  let page;
  /** @type {Domain | undefined} */
  let last;
  const show = (/** @type {Domain} */ domain) => {
    last = domain;
    page ??= build(main, domain, until);
    page.update(domain);
  };
  const lookForEnded = async () => {
    try {
      const domain = await request('GET', `/v1/domains/${encodeURIComponent(id)}`);
      if (!until.aborted) show(domain);
    } catch (error) {
      if (until.aborted) return;
      if (!(error instanceof Problem && error.status === 404)) complain(`Read ${id}`, error);
      else if (last === undefined) main.replaceChildren(missing(id));
      else show({ ...last, state: 'ended' });
    }
  };
  let isLookedFor = false;
  domains.watch((list) => {
    const domain = find(id);
    if (domain !== undefined) show(domain);
    else if (list !== undefined && !isLookedFor) void lookForEnded();
    isLookedFor = domain === undefined && list !== undefined;
  }, until);
}

/** @param {string} id */
const missing = (id) =>
  h(
    'div',
    { class: 'empty' },
    h('h1', {}, 'No such domain'),
    h('p', {}, `There is no domain ${id}, and none that has ended is remembered under that name.`),
    h('p', { class: 'links' }, h('a', { href: '#/domains' }, 'All domains')),
  );

/**
 * @param {HTMLElement} main
 * @param {Domain} domain
 * @param {AbortSignal} until
 */
function build(main, domain, until) {
  const name = h('span', {}, domain.name);
  const badge = stateBadge();
  const actions = actionButtons(domain);
  const facts = factsPanel(domain);
  const trace = h(
    'a',
    { class: 'button', href: `#/trace?domain=${domain.uuid}` },
    icon('trace'),
    h('span', {}, 'Trace'),
  );
  main.replaceChildren(
    h(
      'div',
      { class: 'head' },
      h('a', { class: 'back', href: '#/domains', 'aria-label': 'All domains' }, icon('back')),
      h('h1', {}, name),
      badge.element,
      trace,
      actions.element,
    ),
    h('div', { class: 'split' }, consolePanel(domain, until), facts.element),
  );
  return {
    /** @param {Domain} now */
    update(now) {
      setText(name, now.name);
      document.title = `${now.name} · Xenolith`;
      badge.update(now);
      trace.hidden = now.state === 'ended';
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
  const load = h('div', { class: 'load' }, h('span', {}, 'CPU'), share, spark.element);
  const element = h(
    'aside',
    { class: 'panel', 'aria-label': `Figures of ${first.name}` },
    detail,
    load,
    list,
  );
  return {
    element,
    /** @param {Domain} domain */
    update(domain) {
      const { cpu, now } = ratesOf(domain.uuid);
      setText(share, percent(now));
      load.hidden = domain.state === 'ended';
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
    domain.endedAt === undefined
      ? ['Up', duration(secondsSince(domain.createdAt))]
      : ['Ended', clock(domain.endedAt)],
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
