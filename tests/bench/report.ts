/** How benchmarks say what they found: a title, then aligned rows of name, value, unit and remark. */

export interface Row {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly remark?: string;
}

const digits = (value: number): string =>
  value.toFixed(Math.abs(value) < 10 ? 2 : Math.abs(value) < 100 ? 1 : 0);

export function report(title: string, rows: readonly Row[]): void {
  console.log(`\n${title}`);
  for (const { name, value, unit, remark = '' } of rows) {
    console.log(`  ${name.padEnd(34)} ${digits(value).padStart(10)} ${unit.padEnd(16)} ${remark}`);
  }
}

/** The value in the middle of an odd number of runs. */
export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}
