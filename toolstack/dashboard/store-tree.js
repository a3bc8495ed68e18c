/** A tree of nodes as one expects of trees: arrows move, open and close; a node that has changed lights up. */

import { h, keyed, setAttribute, setText } from './dom.js';
import { parentOf, readNode } from './store-node.js';
import { complain } from './toast.js';

/** @typedef {import('./store-node.js').StoreNode} StoreNode */
/** @typedef {{ element: HTMLElement, update(node: StoreNode): void, node: StoreNode }} Row */

export class StoreTree {
  element = h('div', { class: 'tree', role: 'tree', 'aria-label': 'Nodes of XenStore' });
  #choose;
  /** Nodes that are shown, by path. @type {Map<string, Row>} */
  #rows = new Map();
  /** @type {Map<string, (children: readonly StoreNode[]) => void>} */
  #lists = new Map();
  #chosen = '';
  /** Nodes are shown that are not new. */
  #isQuiet = true;

  /** @param {(node: StoreNode | undefined) => void} choose is told when the chosen node changes or goes, too */
  constructor(choose) {
    this.#choose = choose;
    this.#lists.set('/', this.#list(this.element));
    this.element.addEventListener('keydown', (event) => this.#key(event));
    this.element.addEventListener('click', (event) => this.#click(event));
  }

  /** Nodes whose children are shown. */
  opened() {
    return [...this.#lists.keys()];
  }

  /** The node is as told, and so are those below it that are told with it. @param {StoreNode} node */
  put(node) {
    const { path } = node;
    this.#rows.get(path)?.update(node);
    const list = this.#lists.get(path);
    if (list === undefined || node.children === undefined) return;
    const children = [...node.children].sort(byName);
    const there = new Set(children.map((child) => child.path));
    for (const each of this.#rows.keys())
      if (parentOf(each) === path && !there.has(each)) this.#forget(each);
    list(children);
    for (const child of children) if (this.#lists.has(child.path)) this.put(child);
  }

  /** Opens a node that is shown. @param {string} path */
  async open(path) {
    const row = this.#rows.get(path);
    if (row === undefined || this.#lists.has(path)) return;
    const group = h('div', { role: 'group' });
    row.element.append(group);
    this.#lists.set(path, this.#list(group));
    row.element.setAttribute('aria-expanded', 'true');
    const node = await readNode(path);
    // What was there before it was looked at is no news.
    this.#isQuiet = true;
    this.put(node);
    this.#isQuiet = false;
  }

  /** @param {string} path */
  #close(path) {
    const row = this.#rows.get(path);
    row?.element.querySelector('[role=group]')?.remove();
    row?.element.setAttribute('aria-expanded', 'false');
    for (const each of this.#lists.keys())
      if (each === path || each.startsWith(`${path}/`)) this.#lists.delete(each);
    for (const each of this.#rows.keys()) if (each.startsWith(`${path}/`)) this.#rows.delete(each);
  }

  /** @param {HTMLElement} parent */
  #list(parent) {
    const update = keyed(
      parent,
      (/** @type {StoreNode} */ { path }) => path,
      (node) => this.#row(node),
    );
    return (/** @type {readonly StoreNode[]} */ children) => {
      update(children);
      this.#makeReachable();
    };
  }

  /** It is no more. @param {string} path */
  #forget(path) {
    this.#close(path);
    this.#rows.delete(path);
    if (this.#chosen !== path && !this.#chosen.startsWith(`${path}/`)) return;
    this.#chosen = '';
    this.#choose(undefined);
  }

  /** @param {StoreNode} first
   * @returns {Row}
   */
  #row(first) {
    const value = h('span', { class: 'value' });
    const label = h('span', { class: 'label' }, h('b', {}, first.name), value);
    const element = h(
      'div',
      { role: 'treeitem', tabindex: -1, 'data-path': first.path, 'aria-selected': 'false' },
      label,
    );
    /** @type {Row} */
    const row = {
      element,
      node: first,
      update: (node) => {
        // What a parent tells of its children may be older than what they have told themselves.
        if (node.generation < row.node.generation) return;
        if (node.generation > row.node.generation) flash(label);
        row.node = node.children === undefined ? { ...row.node, ...node } : node;
        setText(value, node.value === '' ? '' : ` = ${node.value}`);
        setAttribute(element, 'aria-label', label.textContent);
        const isLeaf = row.node.children?.length === 0;
        if (isLeaf) setAttribute(element, 'aria-expanded', false);
        else if (!element.hasAttribute('aria-expanded'))
          element.setAttribute('aria-expanded', 'false');
        if (node.path === this.#chosen) this.#choose(row.node);
      },
    };
    if (!this.#isQuiet) flash(label);
    this.#rows.set(first.path, row);
    return row;
  }

  /** One node can be reached with the tab key: the chosen one, or the first. */
  #makeReachable() {
    if (this.element.querySelector('[tabindex="0"]') !== null) return;
    const first = /** @type {HTMLElement | null} */ (this.element.querySelector('[role=treeitem]'));
    if (first !== null) first.tabIndex = 0;
  }

  /** @param {HTMLElement} item */
  #select(item) {
    for (const each of this.element.querySelectorAll('[tabindex="0"]'))
      each.setAttribute('tabindex', '-1');
    for (const each of this.element.querySelectorAll('[aria-selected=true]'))
      each.setAttribute('aria-selected', 'false');
    item.tabIndex = 0;
    item.setAttribute('aria-selected', 'true');
    item.focus({ preventScroll: true });
    item.querySelector('.label')?.scrollIntoView({ block: 'nearest' });
    this.#chosen = item.dataset['path'] ?? '';
    const row = this.#rows.get(this.#chosen);
    if (row !== undefined) this.#choose(row.node);
  }

  /** @param {MouseEvent} event */
  #click({ target }) {
    const item =
      target instanceof Element
        ? /** @type {HTMLElement | null} */ (target.closest('[role=treeitem]'))
        : null;
    if (item === null) return;
    this.#select(item);
    this.#toggle(item);
  }

  /** @param {HTMLElement} item */
  #toggle(item) {
    const path = item.dataset['path'] ?? '';
    const state = item.getAttribute('aria-expanded');
    if (state === 'true') this.#close(path);
    if (state === 'false') this.open(path).catch((error) => complain(`Read ${path}`, error));
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const item = /** @type {HTMLElement | null} */ (
      document.activeElement?.closest('[role=treeitem]') ?? null
    );
    if (item === null || event.ctrlKey || event.altKey || event.metaKey) return;
    const items = /** @type {HTMLElement[]} */ ([
      ...this.element.querySelectorAll('[role=treeitem]'),
    ]);
    const at = items.indexOf(item);
    const isOpen = item.getAttribute('aria-expanded') === 'true';
    /** @type {Record<string, () => void>} */
    const keys = {
      ArrowDown: () => this.#goTo(items[at + 1]),
      ArrowUp: () => this.#goTo(items[at - 1]),
      Home: () => this.#goTo(items[0]),
      End: () => this.#goTo(items.at(-1)),
      ArrowRight: () => (isOpen ? this.#goTo(items[at + 1]) : this.#toggle(item)),
      ArrowLeft: () =>
        isOpen ? this.#toggle(item) : this.#goTo(item.parentElement?.closest('[role=treeitem]')),
      Enter: () => this.#toggle(item),
    };
    const act = keys[event.key];
    if (act === undefined) return;
    event.preventDefault();
    act();
  }

  /** @param {Element | null | undefined} item */
  #goTo(item) {
    if (item instanceof HTMLElement) this.#select(item);
  }
}

/**
 * @param {StoreNode} a
 * @param {StoreNode} b
 */
const byName = (a, b) => a.name.localeCompare(b.name, 'en', { numeric: true });

/** @param {HTMLElement} label */
function flash(label) {
  label.classList.remove('flash');
  requestAnimationFrame(() => label.classList.add('flash'));
}
