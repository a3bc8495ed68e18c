/** The state of a domain as a word and a colour. */

import { h, setAttribute, setText } from './dom.js';

/** @typedef {import('../schemas/domain.js').Domain} Domain */

/** @returns {{ element: HTMLElement, update(domain: Domain): void }} */
export function stateBadge() {
  const element = h('span', { class: 'badge' });
  return {
    element,
    update({ state, shutdownReason, detail }) {
      const word = state === 'shutdown' ? (shutdownReason ?? state) : state;
      setText(element, state === 'blocked' ? 'idle' : word);
      setAttribute(element, 'data-state', shutdownReason === 'crash' ? 'crash' : state);
      setAttribute(element, 'title', detail);
    },
  };
}
