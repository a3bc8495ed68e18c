/** What the host and its domains are doing: asked for again and again while the page is seen, at once after an event. */

import { Problem, request } from './api.js';
import { signal } from './dom.js';

/** @typedef {import('../schemas/domain.js').Domain} Domain */
/** @typedef {import('../schemas/host.js').Host} Host */
/**
 * @typedef {object} Rates
 * @property {readonly number[]} cpu share of a processor at each look, oldest first
 * @property {number} now share of a processor at the last look
 */

const EVERY_MS = 1500;
/** After an event: several of them come together. */
const SOON_MS = 60;
const SAMPLES = 60;

/** @type {import('./dom.js').Signal<readonly Domain[] | undefined>} */
export const domains = signal(undefined);
/** @type {import('./dom.js').Signal<Host | undefined>} */
export const host = signal(undefined);
/** Whether the service answers; not known at first. @type {import('./dom.js').Signal<boolean | undefined>} */
export const isUp = signal(undefined);
/** Domains that have ended are shown as well. */
export const showEnded = signal(false);
/** @type {import('./dom.js').Signal<{ cpu: readonly number[], hypercalls: Readonly<Record<string, number>>, instructions: number }>} */
export const hostRates = signal({ cpu: [], hypercalls: {}, instructions: 0 });

/** @type {Map<string, { seconds: number, rates: Rates }>} */
const histories = new Map();
/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;
let isLooking = false;

/** @param {string} uuid
 * @returns {Rates}
 */
export const ratesOf = (uuid) => histories.get(uuid)?.rates ?? { cpu: [], now: 0 };

/** @param {string} id domid, name or uuid */
export const find = (id) =>
  domains.value?.find(
    ({ uuid, name, domid }) => uuid === id || name === id || String(domid) === id,
  );

export function startLooking() {
  document.addEventListener('visibilitychange', () => schedule(0));
  showEnded.watch(lookSoon, new AbortController().signal);
}

/** Something has happened. */
export function lookSoon() {
  schedule(SOON_MS);
}

/** @param {number} ms */
function schedule(ms) {
  clearTimeout(timer);
  timer = document.hidden ? undefined : setTimeout(look, ms);
}

async function look() {
  if (isLooking) return;
  isLooking = true;
  try {
    const [list, figures] = await Promise.all([
      request('GET', `/v1/domains${showEnded.value ? '?ended=true' : ''}`),
      request('GET', '/v1/host'),
    ]);
    measure(list.domains, figures);
    host.set(figures);
    domains.set(list.domains);
    isUp.set(true);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    isUp.set(false);
  } finally {
    isLooking = false;
    schedule(EVERY_MS);
  }
}

/**
 * @param {readonly Domain[]} list
 * @param {Host} now
 */
function measure(list, now) {
  const before = host.value;
  const passed = before === undefined ? 0 : now.uptimeSeconds - before.uptimeSeconds;
  const isFresh = passed <= 0 || before === undefined;
  const known = new Set(list.map(({ uuid }) => uuid));
  for (const uuid of histories.keys()) if (!known.has(uuid)) histories.delete(uuid);
  for (const { uuid, cpuSeconds } of list) {
    const old = histories.get(uuid);
    const share = old === undefined || isFresh ? 0 : (cpuSeconds - old.seconds) / passed;
    const cpu = old === undefined ? [] : appended(old.rates.cpu, clamp(share));
    histories.set(uuid, { seconds: cpuSeconds, rates: { cpu, now: cpu.at(-1) ?? 0 } });
  }
  if (isFresh) return;
  const busy = 1 - (now.idleSeconds - before.idleSeconds) / passed;
  hostRates.set({
    cpu: appended(hostRates.value.cpu, Math.min(1, clamp(busy))),
    hypercalls: perSecond(before.hypercalls.byName, now.hypercalls.byName, passed),
    instructions: Math.max(0, (now.instructions - before.instructions) / passed),
  });
}

/** A reboot begins to count anew: that is no negative load.
 * @param {number} share
 */
const clamp = (share) => Math.max(0, share);

/**
 * @param {readonly number[]} samples
 * @param {number} sample
 */
const appended = (samples, sample) => [...samples, sample].slice(-SAMPLES);

/**
 * @param {Readonly<Record<string, number>>} before
 * @param {Readonly<Record<string, number>>} now
 * @param {number} passed
 */
function perSecond(before, now, passed) {
  const entries = Object.entries(now).map(([name, total]) => [
    name,
    Math.max(0, total - (before[name] ?? 0)) / passed,
  ]);
  return Object.fromEntries(entries);
}
