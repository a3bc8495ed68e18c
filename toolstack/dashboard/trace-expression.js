/** The expression that the service filters the trace by: tried before it is used, and what is wrong with it is said at the field. */

import { Problem, request } from './api.js';
import { h, setAttribute, setText } from './dom.js';
import { go } from './router.js';

/** The shortest time for which the service sums anything up. */
const TRIED_FOR_S = 0.1;
const HINT =
  'For the service: field operator value, joined by and, or, not. Fields: call, op, errno, result, duration, domain, vcpu, symbol, rip, args.NAME.';

/**
 * @param {URLSearchParams} query of the page
 * @param {AbortSignal} until
 * @returns {HTMLElement}
 */
export function expressionField(query, until) {
  const about = h('span', { id: 'expression-about', class: 'hint' });
  const input = h('input', {
    id: 'expression',
    type: 'search',
    autocomplete: 'off',
    spellcheck: 'false',
    maxlength: 2000,
    value: query.get('filter') ?? '',
    'aria-label': 'Expression',
    'aria-describedby': 'expression-about',
    placeholder: 'errno=EINVAL or duration>10us',
  });
  const tell = (/** @type {string} */ wrong) => {
    setText(about, wrong || HINT);
    about.classList.toggle('field-error', wrong !== '');
    setAttribute(about, 'role', wrong !== '' && 'alert');
    setAttribute(input, 'aria-invalid', wrong !== '' && 'true');
  };
  const apply = async () => {
    const filter = input.value.trim();
    const wrong = filter === '' ? '' : await mistakeIn(filter);
    if (until.aborted) return;
    tell(wrong);
    if (wrong !== '' || filter === (query.get('filter') ?? '')) return;
    if (filter === '') query.delete('filter');
    else query.set('filter', filter);
    go(`/trace?${query}`);
  };
  tell('');
  if (query.has('filter')) void apply();
  const form = h(
    'form',
    {
      class: 'field',
      submit: (/** @type {Event} */ event) => {
        event.preventDefault();
        void apply();
      },
    },
    h('div', { class: 'with-button' }, input, h('button', {}, 'Apply')),
    about,
  );
  const isUsed = query.has('filter');
  return h(
    'details',
    { class: 'expression', open: isUsed },
    h('summary', {}, 'Filter by an expression'),
    form,
  );
}

/** @param {string} filter
 * @returns {Promise<string>} what is wrong with it, nothing if it can be read
 */
async function mistakeIn(filter) {
  const asked = new URLSearchParams({ filter, seconds: String(TRIED_FOR_S) });
  try {
    await request('GET', `/v1/trace/summary?${asked}`);
    return '';
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return error.message;
  }
}
