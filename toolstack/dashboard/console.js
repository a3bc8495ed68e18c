/** The terminal of a domain: what it has printed, then what it prints; what is typed goes to its kernel. */

import { keepSocket } from './api.js';
import { h, setText } from './dom.js';
import { allowTerminalStyles } from './terminal-styles.js';

const TERMINAL = '/dashboard/vendor/xterm.mjs';
const FIT = '/dashboard/vendor/addon-fit.mjs';
allowTerminalStyles();

/** Fetched before it is wanted: a console opens at once, and while the service is down as well. */
const modules = Promise.all([
  /** @type {Promise<typeof import('@xterm/xterm')>} */ (import(TERMINAL)),
  /** @type {Promise<typeof import('@xterm/addon-fit')>} */ (import(FIT)),
]);

/** Characters of one frame: what is pasted may be longer than the service takes at once. */
const CHUNK = 8192;
const ESCAPE_KEY = ']';

const OPTIONS = {
  fontFamily: 'ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace',
  lineHeight: 1.15,
  cursorBlink: true,
  scrollback: 5000,
  screenReaderMode: false,
  theme: {
    background: '#12141b',
    foreground: '#dfe3ee',
    cursor: '#9d97ff',
    selectionBackground: '#4a4f7a',
  },
};

/**
 * @param {{ uuid: string, name: string }} domain
 * @param {AbortSignal} until
 * @returns {HTMLElement}
 */
export function consolePanel({ uuid, name }, until) {
  const screen = h('div', { class: 'screen' });
  const state = h('span', { role: 'status' }, 'connecting …');
  const panel = h(
    'section',
    { class: 'console', 'aria-label': `Console of ${name}` },
    screen,
    h('footer', {}, state, h('span', { class: 'leave' }, h('kbd', {}, 'ctrl-]'), ' leaves')),
  );
  void openTerminal(screen, uuid, until, (text) => setText(state, text));
  return panel;
}

/**
 * @param {HTMLElement} screen
 * @param {string} uuid
 * @param {AbortSignal} until
 * @param {(text: string) => void} tell
 */
async function openTerminal(screen, uuid, until, tell) {
  const [{ Terminal }, { FitAddon }] = await modules;
  if (until.aborted) return;
  const isNarrow = matchMedia('(max-width: 700px)').matches;
  const terminal = new Terminal({ ...OPTIONS, fontSize: isNarrow ? 11 : 13 });
  const fit = new FitAddon();
  terminal.loadAddon(fit);
  terminal.open(screen);
  const resizes = new ResizeObserver(() => fit.fit());
  resizes.observe(screen);
  terminal.attachCustomKeyEventHandler((event) => leavesConsole(event));
  const socket = keepSocket(() => `/v1/domains/${uuid}/console`, talk(terminal, tell), until);
  terminal.onData((text) => {
    if (isReplaying.has(terminal)) return;
    for (let at = 0; at < text.length; at += CHUNK) socket.send(text.slice(at, at + CHUNK));
  });
  terminal.onBinary((text) => socket.send(Uint8Array.from(text, (c) => c.charCodeAt(0))));
  if (matchMedia('(hover: hover)').matches) terminal.focus();
  until.addEventListener('abort', () => {
    resizes.disconnect();
    terminal.dispose();
  });
}

/** Terminals that are shown the past: questions in it have been answered, and must not be answered again. */
const isReplaying = new WeakSet();

/**
 * @param {import('@xterm/xterm').Terminal} terminal
 * @param {(text: string) => void} tell
 * @returns {import('./api.js').SocketHandlers}
 */
function talk(terminal, tell) {
  let isFirstFrame = true;
  return {
    open() {
      isFirstFrame = true;
      terminal.reset();
      tell('connected');
    },
    message(data) {
      if (typeof data === 'string') {
        tell(noticeText(data));
        return;
      }
      if (isFirstFrame) isReplaying.add(terminal);
      isFirstFrame = false;
      terminal.write(new Uint8Array(data), () => isReplaying.delete(terminal));
    },
    lost: () => tell('connection lost, trying again'),
    closed: () => tell('the domain has ended'),
  };
}

/** @param {string} frame */
function noticeText(frame) {
  const { dropped, ended, readOnly } = JSON.parse(frame);
  if (ended === true) return 'the domain has ended';
  if (readOnly === true) return 'connected, to read only: the token is a viewer’s';
  return dropped === undefined ? 'connected' : `${dropped} bytes were dropped`;
}

/** @param {KeyboardEvent} event */
function leavesConsole(event) {
  if (!(event.ctrlKey && event.key === ESCAPE_KEY)) return true;
  if (event.type === 'keydown') document.getElementById('view')?.focus();
  return false;
}
