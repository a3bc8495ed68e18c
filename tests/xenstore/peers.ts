/** Peers that others wrote: absent, a test is skipped by name; in CI that is a failure. */
import { existsSync } from 'node:fs';
import { test } from 'vitest';

/** The reason to skip, when one of the files is not there. */
export const missingFile = (...paths: readonly string[]): string | undefined => {
  const absent = paths.find((path) => !existsSync(path));
  return absent === undefined ? undefined : `no ${absent}`;
};

export function peerTest(
  missing: string | undefined,
  name: string,
  run: () => Promise<void>,
  timeout?: number,
): void {
  if (missing === undefined) test(name, run, timeout);
  else if (process.env['CI'] === 'true') {
    test(name, () => {
      throw new Error(`needed in CI: ${missing}`);
    });
  } else test.skip(`${name} (skipped: ${missing})`, () => undefined);
}
