/** Light or dark: as the system has it, or as was chosen on this page, which the browser remembers. */

import { h, icon } from './dom.js';

const KEY = 'xenolith-theme';

// biome-ignore format: one row per choice
const CHOICES = [
  { name: 'system', says: 'as the system has it' },
  { name: 'light',  says: 'light' },
  { name: 'dark',   says: 'dark' },
];

/** Puts what was chosen before in force. @returns {HTMLButtonElement} goes on to the next choice */
export function themeSwitch() {
  const button = h('button', { type: 'button', class: 'plain theme' });
  let at = Math.max(
    0,
    CHOICES.findIndex(({ name }) => name === localStorage.getItem(KEY)),
  );
  const apply = () => {
    const { name = 'system', says = '' } = CHOICES[at] ?? {};
    document.documentElement.dataset['theme'] = name;
    button.title = `Colours: ${says}`;
    button.setAttribute('aria-label', button.title);
    button.replaceChildren(icon(name));
  };
  button.addEventListener('click', () => {
    at = (at + 1) % CHOICES.length;
    localStorage.setItem(KEY, CHOICES[at]?.name ?? 'system');
    apply();
  });
  apply();
  return button;
}
