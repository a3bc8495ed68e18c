/** Figures as people read them. */

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

/** @param {number} count */
export function bytes(count) {
  let value = count;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const isWhole = Math.abs(value - Math.round(value)) < 0.05;
  return `${value.toFixed(value < 10 && unit > 0 && !isWhole ? 1 : 0)} ${UNITS[unit]}`;
}

/** @param {number} count of 4 KiB */
export const pages = (count) => bytes(count * 4096);

/** @param {number} value */
export const count = (value) => Math.round(value).toLocaleString('en-US');

/** Short: 1.2k, 34M.
 * @param {number} value
 */
export function short(value) {
  if (value < 1000)
    return value < 10 && value % 1 !== 0 ? value.toFixed(1) : String(Math.round(value));
  const steps = ['k', 'M', 'G', 'T'];
  let step = -1;
  let rest = value;
  while (rest >= 1000 && step < steps.length - 1) {
    rest /= 1000;
    step += 1;
  }
  return `${rest.toFixed(rest < 10 ? 1 : 0)}${steps[step]}`;
}

/** @param {number} fraction */
export function percent(fraction) {
  const value = fraction * 100;
  return `${value >= 0.05 && value < 9.95 ? value.toFixed(1) : Math.round(value)}%`;
}

/** @param {number} seconds */
export function duration(seconds) {
  if (seconds < 60) return `${Math.max(0, Math.floor(seconds))} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.floor(seconds % 60)} s`;
  const hours = Math.floor(minutes / 60);
  return hours < 48
    ? `${hours} h ${minutes % 60} min`
    : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** @param {number} ns */
export function nanoseconds(ns) {
  if (ns < 1000) return `${Math.round(ns)} ns`;
  if (ns < 1e6) return `${(ns / 1000).toFixed(1)} µs`;
  return ns < 1e9 ? `${(ns / 1e6).toFixed(1)} ms` : `${(ns / 1e9).toFixed(2)} s`;
}

/** Of today the time alone.
 * @param {string} iso
 */
export function clock(iso) {
  const at = new Date(iso);
  const time = at.toLocaleTimeString('en-GB');
  return at.toDateString() === new Date().toDateString()
    ? time
    : `${at.toLocaleDateString('en-GB', { day: 'numeric', month: 'short' })} ${time}`;
}

/** @param {string} iso */
export const secondsSince = (iso) => (Date.now() - Date.parse(iso)) / 1000;
