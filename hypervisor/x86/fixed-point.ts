/**
 * Elementary functions in fixed point: a number is an integer, in units of 2^-FRACTION_BITS.
 *
 * An x87 register holds 64 bits, and its functions are good to the last of them (SDM 1 §8.3.10). With 192 bits a result that
 * is as small as 2^-64 still has 128 that count; smaller arguments are the caller's, who scales them.
 */

export const FRACTION_BITS = 192;
const SHIFT = BigInt(FRACTION_BITS);
export const ONE = 1n << SHIFT;

export const product = (a: bigint, b: bigint): bigint => (a * b) >> SHIFT;
export const quotient = (a: bigint, b: bigint): bigint => (a << SHIFT) / b;

/** The sum of power / 1, power * factor / (1 + step), power * factor^2 / (1 + 2 step) … until nothing is left. */
function oddSeries(power: bigint, factor: bigint): bigint {
  let sum = 0n;
  let term = power;
  for (let divisor = 1n; term !== 0n && term !== -1n; divisor += 2n) {
    sum += term / divisor;
    term = product(term, factor);
  }
  return sum;
}

/** The area tangent of s, for |s| below about 1/4. */
const areaTangent = (s: bigint): bigint => oddSeries(s, product(s, s));

/** atan(1 / n). */
const inverseTangent = (n: bigint): bigint => oddSeries(ONE / n, -(ONE / (n * n)));

export const LN_2 = 2n * areaTangent(ONE / 3n);
/** John Machin's. */
export const PI = 4n * (4n * inverseTangent(5n) - inverseTangent(239n));

/** ln(1 + u) for u from -0.3 to 0.42. */
export const logPlusOne = (u: bigint): bigint => 2n * areaTangent(quotient(u, 2n * ONE + u));

/** Halvings before the series of e^t: each saves terms and costs a multiplication. */
const HALVINGS = 8n;

/** e^t - 1 for |t| up to about 1. */
export function expMinusOne(t: bigint): bigint {
  const small = t >> HALVINGS;
  let sum = 0n;
  let term = small;
  for (let n = 2n; term !== 0n && term !== -1n; n++) {
    sum += term;
    term = product(term, small) / n;
  }
  for (let n = 0n; n < HALVINGS; n++) sum = product(sum, sum + 2n * ONE);
  return sum;
}

/** term - term * r^2 / ((n + 1)(n + 2)) + … */
function alternating(first: bigint, square: bigint, n: bigint): bigint {
  let sum = 0n;
  let term = first;
  for (let k = n; term !== 0n && term !== -1n; k += 2n) {
    sum += term;
    term = -product(term, square) / ((k + 1n) * (k + 2n));
  }
  return sum;
}

/** For |r| up to pi/4. */
export const sine = (r: bigint): bigint => alternating(r, product(r, r), 1n);
export const cosine = (r: bigint): bigint => alternating(ONE, product(r, r), 0n);

function squareRoot(x: bigint): bigint {
  const square = x << SHIFT;
  let root = BigInt(Math.floor(Math.sqrt(Number(x >> (SHIFT - 52n))))) << (SHIFT - 26n);
  for (let last = 0n; root !== last && root !== last + 1n; ) {
    last = root;
    root = (root + square / root) >> 1n;
  }
  return root;
}

/** Times the angle is halved before the series. */
const ANGLE_HALVINGS = 3n;

/** atan(q) for q from 0 to 1. */
export function arcTangent(q: bigint): bigint {
  let t = q;
  // tan(a / 2) = tan(a) / (1 + sqrt(1 + tan(a)^2))
  for (let n = 0n; n < ANGLE_HALVINGS; n++) {
    t = quotient(t, ONE + squareRoot(ONE + product(t, t)));
  }
  return oddSeries(t, -product(t, t)) << ANGLE_HALVINGS;
}
