/** The form from which a domain is created. What the service refuses is shown at the field it concerns. */

import { Problem, request } from './api.js';
import { h, setAttribute } from './dom.js';
import { lookSoon } from './live.js';
import { go } from './router.js';
import { complain, say } from './toast.js';

/**
 * @typedef {object} Field
 * @property {string} name as the service calls it
 * @property {string} label
 * @property {string} [hint]
 * @property {Record<string, unknown>} input attributes
 */

// biome-ignore format: one row per field
/** @type {readonly Field[]} */
const MAIN = [
  { name: 'name',    label: 'Name',         input: { required: true, maxlength: 64, autofocus: true, placeholder: 'hello' } },
  { name: 'kernel',  label: 'Kernel',       input: { required: true, list: 'kernels', placeholder: 'hello' }, hint: 'An image of this host.' },
  { name: 'memory',  label: 'Memory (MiB)', input: { type: 'number', min: 1, max: 3840, step: 'any', value: 32 } },
  { name: 'vcpus',   label: 'vCPUs',        input: { type: 'number', min: 1, max: 128, value: 1 } },
  { name: 'cmdline', label: 'Command line', input: { maxlength: 1023, placeholder: 'console=hvc0' } },
];

// biome-ignore format: one row per field
/** @type {readonly Field[]} */
const MORE = [
  { name: 'ramdisk',   label: 'RAM disk',         input: { list: 'kernels' } },
  { name: 'disk',      label: 'Disk (xvda)',      input: { list: 'disks' }, hint: 'An image below the disk directory.' },
  { name: 'maxMemory', label: 'Memory at most',   input: { type: 'number', min: 1, max: 3840, step: 'any' } },
  { name: 'maxVcpus',  label: 'vCPUs at most',    input: { type: 'number', min: 1, max: 128 } },
  { name: 'weight',    label: 'Weight',           input: { type: 'number', min: 1, max: 65535, placeholder: 256 } },
  { name: 'cap',       label: 'Cap (% of a CPU)', input: { type: 'number', min: 0, max: 3200, placeholder: 'none' } },
];

const NUMBERS = ['memory', 'vcpus', 'maxMemory', 'maxVcpus', 'weight', 'cap'];

export function openCreateForm() {
  if (document.querySelector('dialog[open]') !== null) return;
  const rest = h('p', { class: 'field-error', role: 'alert' });
  const form = h(
    'form',
    { novalidate: true },
    h('h2', {}, 'New domain'),
    h('div', { class: 'fields' }, ...MAIN.map(fieldRow)),
    h(
      'details',
      {},
      h('summary', {}, 'More'),
      h('div', { class: 'fields' }, ...MORE.map(fieldRow)),
      h(
        'label',
        { class: 'check' },
        h('input', { type: 'checkbox', name: 'vif' }),
        'a network interface on xenbr0',
      ),
      h(
        'label',
        { class: 'check' },
        h('input', { type: 'checkbox', name: 'paused' }),
        'leave it paused',
      ),
      h(
        'label',
        { class: 'check' },
        h('input', { type: 'checkbox', name: 'defined' }),
        'remember it as a definition',
      ),
    ),
    rest,
    h(
      'div',
      { class: 'buttons' },
      h('button', { type: 'button', click: () => dialog.close() }, 'Cancel'),
      h('button', { class: 'primary' }, 'Create'),
    ),
    h('datalist', { id: 'kernels' }),
    h('datalist', { id: 'disks' }),
  );
  const dialog = h(
    'dialog',
    { class: 'dialog', 'aria-label': 'New domain', close: () => dialog.remove() },
    form,
  );
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    void submit(form, dialog, rest);
  });
  document.body.append(dialog);
  dialog.showModal();
  void suggest(form);
}

/** @param {Field} field */
function fieldRow({ name, label, hint, input }) {
  const id = `new-${name}`;
  return h(
    'div',
    { class: `field field-${name}` },
    h('label', { for: id }, label),
    h('input', {
      id,
      name,
      autocomplete: 'off',
      spellcheck: 'false',
      'aria-describedby': `${id}-about`,
      ...input,
    }),
    h('span', { id: `${id}-about`, class: 'hint', 'data-hint': hint ?? '' }, hint ?? ''),
  );
}

/** Names that there are, for the fields that want one.
 * @param {HTMLFormElement} form
 */
async function suggest(form) {
  try {
    const [{ images }, { disks }] = await Promise.all([
      request('GET', '/v1/images'),
      request('GET', '/v1/disks'),
    ]);
    const fill = (/** @type {string} */ id, /** @type {{ name: string }[]} */ list) =>
      form
        .querySelector(`#${id}`)
        ?.replaceChildren(
          ...list.map(({ name }) => h('option', { value: name.replace(/\.elf$/, '') })),
        );
    fill('kernels', images);
    fill('disks', disks);
  } catch (error) {
    complain('Images cannot be listed', error);
  }
}

/**
 * @param {HTMLFormElement} form
 * @param {HTMLDialogElement} dialog
 * @param {HTMLElement} rest
 */
async function submit(form, dialog, rest) {
  const button = /** @type {HTMLButtonElement} */ (form.querySelector('button.primary'));
  showErrors(form, rest, []);
  button.disabled = true;
  try {
    const { uuid, name } = await create(form);
    dialog.close();
    say(`${name} is created.`);
    lookSoon();
    go(`/domains/${uuid}`);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    const isAboutFields = error.errors.length > 0;
    showErrors(form, rest, isAboutFields ? error.errors : [{ pointer: '', detail: error.message }]);
  } finally {
    button.disabled = false;
  }
}

/** @param {HTMLFormElement} form */
async function create(form) {
  const config = configOf(form);
  if (!new FormData(form).has('defined')) return request('POST', '/v1/domains', config);
  const name = encodeURIComponent(String(config['name']));
  await request('PUT', `/v1/definitions/${name}`, { config });
  return request('POST', `/v1/definitions/${name}/actions/start`, {});
}

/** @param {HTMLFormElement} form */
const badNumbers = (form) =>
  [.../** @type {NodeListOf<HTMLInputElement>} */ (form.querySelectorAll('input:invalid'))].filter(
    ({ validity }) => validity.badInput,
  );

/** @param {HTMLFormElement} form */
function configOf(form) {
  /** @type {Record<string, unknown>} */
  const config = {};
  // What is no number is not among the form's data; it must not pass for nothing.
  for (const { name } of badNumbers(form)) config[name] = null;
  for (const [name, value] of new FormData(form)) {
    const text = String(value).trim();
    if (text === '') continue;
    if (name === 'disk') config['disks'] = [{ vdev: 'xvda', target: text }];
    else if (name === 'vif') config['vifs'] = [{}];
    else if (name === 'paused') config['paused'] = true;
    else if (name !== 'defined') config[name] = NUMBERS.includes(name) ? Number(text) : text;
  }
  return config;
}

/**
 * @param {HTMLFormElement} form
 * @param {HTMLElement} rest what belongs to no field
 * @param {readonly { pointer: string, detail: string }[]} errors
 */
function showErrors(form, rest, errors) {
  for (const about of /** @type {NodeListOf<HTMLElement>} */ (
    form.querySelectorAll('[data-hint]')
  )) {
    about.textContent = about.dataset['hint'] ?? '';
    about.classList.remove('field-error');
    setAttribute(/** @type {Element} */ (about.previousElementSibling), 'aria-invalid', false);
  }
  rest.textContent = '';
  for (const { pointer, detail } of errors) {
    const first = pointer.replace(/^\/config/, '').split('/')[1] ?? '';
    const field = form.querySelector(`#new-${CSS.escape(FIELD_OF[first] ?? first)}`);
    if (field instanceof HTMLInputElement) showError(field, detail);
    else rest.textContent = `${pointer} ${detail}`.trim();
  }
  const wrong = /** @type {HTMLInputElement | null} */ (form.querySelector('[aria-invalid]'));
  wrong?.focus();
}

/** Fields of the service that have another name here. @type {Readonly<Record<string, string>>} */
const FIELD_OF = { disks: 'disk' };

/**
 * @param {HTMLInputElement} field
 * @param {string} detail what the service says
 */
function showError(field, detail) {
  const about = /** @type {HTMLElement} */ (field.nextElementSibling);
  about.textContent = plainWords(field) ?? detail;
  about.classList.add('field-error');
  field.setAttribute('aria-invalid', 'true');
  const closed = field.closest('details');
  if (closed !== null) closed.open = true;
}

/** What is wrong with the field, if the browser sees it as well: it says so in fewer words than the service.
 * @param {HTMLInputElement} field
 */
function plainWords({ validity, min, max }) {
  if (validity.valueMissing) return 'This is needed.';
  if (validity.badInput) return 'This is no number.';
  if (validity.rangeUnderflow) return `At least ${min}.`;
  return validity.rangeOverflow ? `At most ${max}.` : undefined;
}
