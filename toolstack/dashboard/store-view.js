/** XenStore: its tree, which changes as the store does, and the node that is chosen. */

import { keepSocket, Problem, request } from './api.js';
import { h, setText } from './dom.js';
import { parentOf, readNode } from './store-node.js';
import { StoreTree } from './store-tree.js';
import { complain, say } from './toast.js';

/** @typedef {import('./store-node.js').StoreNode} StoreNode */

/** Changes come in bursts: what they concern is read once. */
const TOGETHER_MS = 120;

/** Statuses: there is no such node; no answer. */
const NOT_NOW = [404, 0];

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
    /** Nodes to be read again: the parent of what has changed tells what has gone, too. @type {Set<string>} */
    const stale = new Set();
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let timer;
    let changes = 0;
    const follow = async () => {
      while (stale.size > 0 && !until.aborted) {
        const paths = [...stale];
        stale.clear();
        await refresh(tree, paths);
      }
    };
    const followSoon = () => {
      timer ??= setTimeout(() => {
        follow()
          .catch((error) => complain('XenStore cannot be read', error))
          .finally(() => {
            timer = undefined;
            if (stale.size > 0) followSoon();
          });
      }, TOGETHER_MS);
    };
    void openTree(tree, query.get('path') ?? '/local/domain');
    keepSocket(
      () => '/v1/xenstore/watch?path=/',
      {
        open() {
          setText(state, 'live');
          changes -= 1; // the watched node itself comes first
          for (const path of tree.opened()) stale.add(path);
        },
        lost: () => setText(state, 'connection lost, trying again'),
        message(data) {
          stale.add(parentOf(JSON.parse(String(data)).path));
          changes += 1;
          setText(state, `live, ${changes} changes seen`);
          followSoon();
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
 * Reads nodes whose children are shown. Those further up come first, so that nobody asks for what has gone with them.
 * @param {StoreTree} tree
 * @param {readonly string[]} paths
 */
async function refresh(tree, paths) {
  for (const path of [...paths].sort((a, b) => a.length - b.length)) {
    if (!tree.opened().includes(path)) continue;
    try {
      tree.put(await readNode(path));
    } catch (error) {
      // It has gone meanwhile, which is among the next changes; or all is read once the service is there again.
      if (!(error instanceof Problem && NOT_NOW.includes(error.status))) throw error;
    }
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
    /** @param {StoreNode | undefined} node */
    show(node) {
      none.hidden = node !== undefined;
      form.hidden = node === undefined;
      if (node === undefined) return;
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
