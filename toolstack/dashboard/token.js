/** The token of a service that asks for one: kept for this tab alone, asked for when it is missing or refused. */

import { h } from './dom.js';

const KEY = 'xenolith-token';

/** @returns {string | null} */
export const token = () => sessionStorage.getItem(KEY);

/** @type {Promise<boolean> | undefined} */
let asking;

/** Asks once, however many requests have been refused. @returns {Promise<boolean>} whether there is one to try. */
export function askForToken() {
  asking ??= ask().finally(() => {
    asking = undefined;
  });
  return asking;
}

/** @returns {Promise<boolean>} */
function ask() {
  const wasRefused = token() !== null;
  const input = h('input', {
    type: 'password',
    id: 'token',
    name: 'token',
    autocomplete: 'off',
    spellcheck: 'false',
    required: true,
  });
  const form = h(
    'form',
    {},
    h('h2', {}, 'A token, please'),
    h(
      'p',
      { role: wasRefused && 'alert' },
      wasRefused
        ? 'The service does not take this token. It may have been revoked, or may be for less than this page needs.'
        : 'This service listens beyond its own machine, and takes requests only with a token.',
    ),
    h('label', { for: 'token' }, 'Token'),
    input,
    h('p', { class: 'hint' }, 'Kept until this tab is closed. "xl token create" makes one.'),
    h('div', { class: 'buttons' }, h('button', { class: 'primary' }, 'Go on')),
  );
  const dialog = h('dialog', { class: 'dialog', 'aria-label': 'Token' }, form);
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener('cancel', (event) => event.preventDefault());
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      sessionStorage.setItem(KEY, input.value.trim());
      dialog.close();
      dialog.remove();
      resolve(true);
    });
  });
}
