/** Which view is shown: the part of the address behind #, so that each view can be linked to and gone back to. */

import { h, icon, setAttribute } from './dom.js';

/**
 * @typedef {object} View
 * @property {string} name first word of its address
 * @property {string} title
 * @property {(main: HTMLElement, rest: readonly string[], query: URLSearchParams, until: AbortSignal) => void} show
 */

/** Where the address names no view that there is. @type {View} */
const nowhere = {
  name: '',
  title: 'Not found',
  show(main) {
    main.append(
      h(
        'div',
        { class: 'empty' },
        h('h1', {}, 'There is no such page'),
        h('p', {}, 'The address names no view of this host.'),
        h('p', { class: 'links' }, h('a', { href: '#/domains' }, 'All domains')),
      ),
    );
  },
};

/** @param {readonly View[]} views the first is shown where the address names none */
export function startRouter(views) {
  const main = /** @type {HTMLElement} */ (document.getElementById('view'));
  const links = views.map(({ name, title }, n) =>
    h(
      'a',
      { href: `#/${name}`, title: `${title} (${n + 1})`, 'data-view': name },
      icon(name),
      h('span', {}, title),
    ),
  );
  document.getElementById('nav')?.append(...links);
  let shown = new AbortController();
  const show = () => {
    // "#view" is the way past the header, not a view.
    if (!location.hash.startsWith('#/') && location.hash !== '') return;
    const [path = '', query = ''] = location.hash.slice(2).split('?', 2);
    const [name = '', ...rest] = path.split('/').map(decoded);
    const view = name === '' ? views[0] : views.find((each) => each.name === name);
    const { title, show: fill } = view ?? nowhere;
    shown.abort();
    shown = new AbortController();
    for (const link of links)
      setAttribute(link, 'aria-current', link.dataset['view'] === view?.name && 'page');
    document.title = `${title} · Xenolith`;
    main.className = `view-${view?.name}`;
    main.replaceChildren();
    main.scrollTop = 0;
    fill(main, rest, new URLSearchParams(query), shown.signal);
  };
  addEventListener('hashchange', show);
  show();
}

/** @param {string} part of an address, which anybody may have written */
function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** @param {string} address such as /domains */
export function go(address) {
  location.hash = `#${address}`;
}
