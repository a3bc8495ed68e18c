/** The API as this page uses it: requests that throw a Problem, and sockets that come back after a loss. */

import { askForToken, token } from './token.js';

/** Time before a lost socket is tried again: it grows up to the last one. */
const RETRY_MS = [250, 1000, 3000];

/** With this the page closes a socket that it wants to have again. */
const ASKED_AGAIN = 4000;

/** What the service has refused, in its words. */
export class Problem extends Error {
  /**
   * @param {number} status 0 if there was no answer
   * @param {string} title
   * @param {string} detail
   * @param {readonly { pointer: string, detail: string }[]} errors by field
   */
  constructor(status, title, detail, errors = []) {
    super(detail);
    this.status = status;
    this.title = title;
    this.errors = errors;
  }
}

/**
 * @param {string} method
 * @param {string} path
 * @param {unknown} [body] sent as JSON
 * @returns {Promise<any>} what was answered: JSON, or text
 */
export async function request(method, path, body) {
  const response = await send(method, path, body);
  if (response.status === 401 && (await askForToken())) return request(method, path, body);
  const isJson = response.headers.get('content-type')?.includes('json') === true;
  const answer = isJson ? await response.json() : await response.text();
  if (response.ok) return answer;
  throw isJson
    ? new Problem(response.status, answer.title, answer.detail, answer.errors)
    : new Problem(response.status, response.statusText, answer);
}

/**
 * @param {string} method
 * @param {string} path
 * @param {unknown} body
 */
async function send(method, path, body) {
  const bearer = token();
  try {
    return await fetch(path, {
      method,
      headers: {
        accept: 'application/json, text/plain;q=0.9',
        ...(bearer && { authorization: `Bearer ${bearer}` }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
  } catch {
    throw new Problem(0, 'No answer', 'The service does not answer.');
  }
}

/**
 * @typedef {object} SocketHandlers
 * @property {(data: string | ArrayBuffer) => void} message
 * @property {(isFirst: boolean) => void} [open] before anything comes over it
 * @property {(reason: string) => void} [lost] it will be tried again
 * @property {() => void} [closed] the service has closed it for good
 */

/**
 * Keeps a socket open until it is aborted or the service closes it with 1000.
 * @param {() => string} path asked before each attempt: it may say where to go on
 * @param {SocketHandlers} handlers
 * @param {AbortSignal} until
 * @returns {{ send(data: string | Uint8Array<ArrayBuffer>): void, again(): void }} what is sent while it is down is lost; `again` opens
 *   it anew, at what `path` says by then
 */
export function keepSocket(path, handlers, until) {
  /** @type {WebSocket | undefined} */
  let socket;
  let attempts = 0;
  let opened = 0;
  const connect = () => {
    if (until.aborted) return;
    const bearer = token();
    const mine = new WebSocket(socketUrl(path()), bearer ? ['xenolith', `bearer.${bearer}`] : []);
    mine.binaryType = 'arraybuffer';
    socket = mine;
    mine.onopen = () => {
      attempts = 0;
      opened += 1;
      handlers.open?.(opened === 1);
    };
    mine.onmessage = ({ data }) => handlers.message(data);
    mine.onclose = ({ code, reason }) => {
      if (until.aborted) return;
      if (code === 1000) return handlers.closed?.();
      handlers.lost?.(reason);
      setTimeout(connect, RETRY_MS[Math.min(attempts, RETRY_MS.length - 1)]);
      attempts += 1;
    };
  };
  connect();
  until.addEventListener('abort', () => socket?.close());
  return {
    send: (data) => {
      if (socket?.readyState === WebSocket.OPEN) socket.send(data);
    },
    again: () => {
      if (socket === undefined) return;
      socket.onmessage = null;
      socket.close(ASKED_AGAIN);
    },
  };
}

/** @param {string} path */
function socketUrl(path) {
  return new URL(path, location.href.replace(/^http/, 'ws')).href;
}
