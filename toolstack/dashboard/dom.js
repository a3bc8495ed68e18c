/** Elements made and kept up to date without a framework: `h` makes one, `keyed` keeps a list, `signal` holds a value. */

/** @typedef {Node | string | number | false | null | undefined} Child */

/**
 * Makes an element. A function is a listener for its event, `true` an empty attribute; what is false or undefined is left out.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, unknown>} [attributes]
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function')
      element.addEventListener(name, /** @type {EventListener} */ (value));
    else setAttribute(element, name, value);
  }
  element.append(...shown(children));
  return element;
}

/**
 * @param {Element} element
 * @param {string} name
 * @param {unknown} value
 */
export function setAttribute(element, name, value) {
  if (value === undefined || value === null || value === false) element.removeAttribute(name);
  else element.setAttribute(name, value === true ? '' : String(value));
}

/** Writes text only where it differs, so that a selection in it survives.
 * @param {Node} node
 * @param {string | number} text
 */
export function setText(node, text) {
  if (node.textContent !== String(text)) node.textContent = String(text);
}

/**
 * @param {readonly Child[]} children
 * @returns {(Node | string)[]}
 */
function shown(children) {
  return children.flatMap((child) => {
    if (child === false || child === null || child === undefined) return [];
    return [child instanceof Node ? child : String(child)];
  });
}

/**
 * A drawing of icons.svg.
 * @param {string} name
 */
export function icon(name) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.setAttribute('class', 'icon');
  svg.setAttribute('aria-hidden', 'true');
  const use = document.createElementNS('http://www.w3.org/2000/svg', 'use');
  use.setAttribute('href', `#${name}`);
  svg.append(use);
  return svg;
}

/** Takes the drawings into the page: they are there even while the service is not. */
export async function loadIcons() {
  const text = await (await fetch('/dashboard/icons.svg')).text();
  const { documentElement } = new DOMParser().parseFromString(text, 'image/svg+xml');
  documentElement.setAttribute('class', 'unseen');
  documentElement.setAttribute('aria-hidden', 'true');
  document.body.prepend(documentElement);
}

/**
 * Keeps the children of an element equal to a list: rows that stay are updated, not made anew, so focus stays where it is.
 * @template Item
 * @param {Element} parent
 * @param {(item: Item) => string} keyOf
 * @param {(item: Item) => { element: Element, update: (item: Item) => void }} make
 * @returns {(items: readonly Item[]) => void}
 */
export function keyed(parent, keyOf, make) {
  /** @type {Map<string, { element: Element, update: (item: Item) => void }>} */
  let rows = new Map();
  return (items) => {
    const next = new Map(
      items.map((item) => {
        const row = rows.get(keyOf(item)) ?? make(item);
        row.update(item);
        return [keyOf(item), row];
      }),
    );
    for (const [key, { element }] of rows) if (!next.has(key)) element.remove();
    rows = next;
    let at = parent.firstElementChild;
    for (const { element } of rows.values()) {
      if (element === at) at = at.nextElementSibling;
      else parent.insertBefore(element, at);
    }
  };
}

/**
 * A value that tells when it changes.
 * @template Value
 * @typedef {{ readonly value: Value, set(value: Value): void, watch(listener: (value: Value) => void, until: AbortSignal): void }} Signal
 */

/**
 * @template Value
 * @param {Value} first
 * @returns {Signal<Value>}
 */
export function signal(first) {
  let value = first;
  /** @type {Set<(value: Value) => void>} */
  const listeners = new Set();
  return {
    get value() {
      return value;
    },
    set(next) {
      value = next;
      for (const listener of listeners) listener(next);
    },
    watch(listener, until) {
      listeners.add(listener);
      until.addEventListener('abort', () => listeners.delete(listener));
      listener(value);
    },
  };
}
