/** The state of a domain as a word and a colour. */

import { h, setAttribute, setText } from './dom.js';

/** @typedef {import('../schemas/domain.js').Domain} Domain */

/** What is said of a domain that has stopped. @type {Readonly<Record<string, string>>} */
const STOPPED = {
  poweroff: 'powered off',
  reboot: 'rebooting',
  suspend: 'suspended',
  crash: 'crashed',
  watchdog: 'watchdog',
  soft_reset: 'soft reset',
};

/** @returns {{ element: HTMLElement, update(domain: Domain): void }} */
export function stateBadge() {
  const element = h('span', { class: 'badge' });
  return {
    element,
    update({ state, shutdownReason, detail }) {
      const isBad = shutdownReason === 'crash' || shutdownReason === 'watchdog';
      const stopped = STOPPED[shutdownReason ?? ''] ?? state;
      if (state === 'shutdown') setText(element, stopped);
      else if (state === 'ended') setText(element, isBad ? `ended, ${stopped}` : state);
      else setText(element, state === 'blocked' ? 'idle' : state);
      setAttribute(element, 'data-state', isBad ? 'crash' : state);
      setAttribute(element, 'title', detail);
    },
  };
}
