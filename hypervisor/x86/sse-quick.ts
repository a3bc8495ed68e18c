/**
 * The middle path of SSE arithmetic: what is exact, or inexact for the first time, without the integers of
 * soft-float.ts. Taken when the generated code cannot tell whether the inexact flag must be set.
 *
 * Rounding is to nearest, operands are zero or far from overflow and underflow. Then the host's own arithmetic
 * gives the result, and the error of it, which is a number, tells whether it is exact.
 */
// Spec: T. J. Dekker, A floating-point technique for extending the available precision (1971).

/** A result, and whether it is exact. */
export interface Quick {
  value: number;
  exact: boolean;
}

type Compute = (out: Quick, x: number, y: number) => void;
export interface QuickOperation {
  readonly compute: Compute;
  /** It does not look at its first operand. */
  readonly isUnary: boolean;
}

const SPLITTER = 2 ** 27 + 1;

/** The error of a product: x * y - product, exactly. */
function productError(x: number, y: number, product: number): number {
  const bigX = x * SPLITTER;
  const highX = bigX - (bigX - x);
  const lowX = x - highX;
  const bigY = y * SPLITTER;
  const highY = bigY - (bigY - y);
  const lowY = y - highY;
  return lowX * lowY - (product - highX * highY - lowX * highY - highX * lowY);
}

/** The error of a sum: x + y - sum, exactly. */
function sumError(x: number, y: number, sum: number): number {
  const part = sum - x;
  return x - (sum - part) + (y - part);
}

const add: Compute = (out, x, y) => {
  out.value = x + y;
  out.exact = sumError(x, y, out.value) === 0;
};
const multiply: Compute = (out, x, y) => {
  out.value = x * y;
  out.exact = productError(x, y, out.value) === 0;
};
/** Also a square root's check: the result times the divisor must give the dividend back. */
function givesBack(result: number, divisor: number, dividend: number): boolean {
  const product = result * divisor;
  return product === dividend && productError(result, divisor, product) === 0;
}
const divide: Compute = (out, x, y) => {
  out.value = x / y;
  out.exact = givesBack(out.value, y, x);
};
const squareRoot: Compute = (out, _, y) => {
  out.value = Math.sqrt(y);
  out.exact = givesBack(out.value, out.value, y);
};

const BY_STEM: Readonly<Record<string, Compute>> = {
  add,
  sub: (out, x, y) => add(out, x, -y),
  mul: multiply,
  div: divide,
  sqrt: squareRoot,
};

/** The quick form of an operation by its name ("addsd"), if it has one. */
export function quickOperation(name: string): QuickOperation | undefined {
  const stem = name.replace(/[sp][sd]$/, '');
  const compute = BY_STEM[stem];
  return compute && { compute, isUnary: stem === 'sqrt' };
}

const LARGE_64 = 2 ** 500;
const SMALL_64 = 2 ** -460;
const LARGE_32 = 2 ** 127;
const SMALL_32 = 2 ** -125;

/** Zero, or so far from the ends of the exponents that no error term leaves them. */
function isMiddling(value: number, isDouble: boolean): boolean {
  const magnitude = Math.abs(value);
  if (isDouble) return value === 0 || (magnitude > SMALL_64 && magnitude < LARGE_64);
  return value === 0 || (magnitude > SMALL_32 && magnitude < LARGE_32);
}

/**
 * One lane. @returns whether `out` holds the result; if not, only the exact way can tell.
 * Singles are computed in doubles, which round them correctly: 53 >= 2 * 24 + 2.
 */
export function quickLane(
  operation: QuickOperation,
  isDouble: boolean,
  out: Quick,
  x: number,
  y: number,
): boolean {
  if (!isMiddling(x, isDouble) || !isMiddling(y, isDouble)) return false;
  operation.compute(out, x, y);
  if (!isDouble) {
    const single = Math.fround(out.value);
    out.exact = out.exact && single === out.value;
    out.value = single;
  }
  // A zero that was not exact has underflowed.
  return isMiddling(out.value, isDouble) && (out.value !== 0 || out.exact);
}
