/** XenStore: its tree, which changes as the store does, and the node that is chosen. */

import { keepSocket, Problem, request } from './api.js';
import { h, setText } from './dom.js';
import { readNode } from './store-node.js';
import { StoreTree } from './store-tree.js';
import { complain, say } from './toast.js';

/** @typedef {import('./store-node.js').StoreNode} StoreNode */

/** Changes come in bursts: what they concern is read once. */
const TOGETHER_MS = 120;

/** @type {import('./router.js').View} */
export const storeView = {
  name: 'store',
  title: 'XenStore',
  show(main, _rest, query, until) {
    const panel = nodePanel();
    const state = h('span', { class: 'count' }, 'connecting …');
    const tree = new StoreTree(panel.show);
    main.append(
      h('div', { class: 'head' }, h('h1', {}, 'XenStore'), state),
      h('div', { class: 'split store' }, tree.element, panel.element),
    );
    /** @type {Set<string>} */
    const changed = new Set();
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let timer;
    let changes = -1; // the watched node itself comes first
    const follow = async () => {
      timer = undefined;
      const paths = [...changed];
      changed.clear();
      await Promise.all(
        paths.filter((path) => tree.isSeen(path)).map((path) => refresh(tree, path)),
      );
    };
    void openTree(tree, query.get('path') ?? '/local/domain');
    keepSocket(
      () => '/v1/xenstore/watch?path=/',
      {
        open: () => setText(state, 'live'),
        lost: () => setText(state, 'connection lost, trying again'),
        message(data) {
          changed.add(JSON.parse(String(data)).path);
          changes += 1;
          setText(state, `live, ${changes} changes seen`);
          timer ??= setTimeout(
            () => void follow().catch((error) => complain('XenStore cannot be read', error)),
            TOGETHER_MS,
          );
        },
      },
      until,
    );
    until.addEventListener('abort', () => clearTimeout(timer));
  },
};

/**
 * @param {StoreTree} tree
 * @param {string} path opened, with all above it
 */
async function openTree(tree, path) {
  try {
    tree.put(await readNode('/'));
    tree.start();
    let at = '';
    for (const name of path.split('/').filter(Boolean)) {
      at += `/${name}`;
      await tree.open(at);
    }
  } catch (error) {
    complain('XenStore cannot be read', error);
  }
}

/**
 * @param {StoreTree} tree
 * @param {string} path
 */
async function refresh(tree, path) {
  try {
    tree.put(await readNode(path));
  } catch (error) {
    if (!(error instanceof Problem && error.status === 404)) throw error;
    tree.remove(path);
  }
}

function nodePanel() {
  const path = h('h2', { class: 'path' });
  const value = h('textarea', { rows: 4, 'aria-label': 'Value', spellcheck: 'false' });
  const facts = h('p', { class: 'hint' });
  const save = h(
    'button',
    { class: 'primary', click: () => void write(path.textContent ?? '', value.value) },
    'Write',
  );
  const form = h(
    'div',
    { class: 'node', hidden: true },
    path,
    value,
    facts,
    h('div', { class: 'buttons' }, save),
  );
  const none = h('p', { class: 'empty' }, 'Choose a node to see its value and who may change it.');
  const element = h(
    'aside',
    { class: 'panel', 'aria-label': 'The node that is chosen' },
    none,
    form,
  );
  return {
    element,
    /** @param {StoreNode} node */
    show(node) {
      none.hidden = true;
      form.hidden = false;
      setText(path, node.path);
      if (document.activeElement !== value) value.value = node.value;
      setText(facts, `Permissions ${node.permissions.join(' ')} · generation ${node.generation}`);
    },
  };
}

/**
 * @param {string} path
 * @param {string} value
 */
async function write(path, value) {
  try {
    await request('PUT', `/v1/xenstore${path}`, { value });
    say(`${path} is written.`);
  } catch (error) {
    complain(`Write ${path}`, error);
  }
}
