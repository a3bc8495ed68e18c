/** Reads a node of XenStore with its children, and theirs: so that it is known which of them can be opened. */

import { request } from './api.js';

/**
 * @typedef {object} StoreNode
 * @property {string} path
 * @property {string} name
 * @property {string} value
 * @property {readonly string[]} permissions
 * @property {number} generation
 * @property {readonly StoreNode[]} [children]
 */

/** @param {string} path
 * @returns {Promise<StoreNode>}
 */
export const readNode = (path) => {
  const encoded = path.split('/').map(encodeURIComponent).join('/');
  return request('GET', `/v1/xenstore${encoded === '/' ? '' : encoded}?depth=2`);
};

/** @param {string} path */
export const parentOf = (path) => path.slice(0, path.lastIndexOf('/')) || '/';
