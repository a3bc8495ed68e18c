/** The token of a service that asks for one: kept for this tab alone, asked for when it is missing or refused. */

import { h } from './dom.js';

const KEY = 'xenolith-token';

/** @returns {string | null} */
export const token = () => sessionStorage.getItem(KEY);

/** The next request asks for another one. */
export const forgetToken = () => sessionStorage.removeItem(KEY);

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
    'aria-describedby': 'token-about',
    'aria-invalid': wasRefused && 'true',
  });
  const form = h(
    'form',
    {},
    h('h2', {}, 'A token, please'),
    h('p', {}, 'This service takes requests only with a token. "xl token create" makes one.'),
    h(
      'div',
      { class: 'field' },
      h('label', { for: 'token' }, 'Token'),
      input,
      h(
        'span',
        {
          id: 'token-about',
          class: wasRefused ? 'hint field-error' : 'hint',
          role: wasRefused && 'alert',
        },
        wasRefused
          ? 'The service does not take this token: it is none, was revoked, or has expired.'
          : 'Kept until this tab is closed.',
      ),
    ),
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
