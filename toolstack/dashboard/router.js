/** Which view is shown: the part of the address behind #, so that each view can be linked to and gone back to. */

import { h, icon, setAttribute } from './dom.js';

/**
 * @typedef {object} View
 * @property {string} name first word of its address
 * @property {string} title
 * @property {(main: HTMLElement, rest: readonly string[], query: URLSearchParams, until: AbortSignal) => void} show
 */

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
    const [name, ...rest] = path.split('/').map(decodeURIComponent);
    const view = views.find((each) => each.name === name) ?? views[0];
    if (view === undefined) return;
    shown.abort();
    shown = new AbortController();
    for (const link of links)
      setAttribute(link, 'aria-current', link.dataset['view'] === view.name && 'page');
    document.title = `${view.title} · Xenolith`;
    main.className = `view-${view.name}`;
    main.replaceChildren();
    main.scrollTop = 0;
    view.show(main, rest, new URLSearchParams(query), shown.signal);
  };
  addEventListener('hashchange', show);
  show();
}

/** @param {string} address such as /domains */
export function go(address) {
  location.hash = `#${address}`;
}
