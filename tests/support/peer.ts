/** A peer is a real program a test runs against: missing, it is a failure in CI and a named skip elsewhere. */

import { existsSync } from 'node:fs';
import { test } from 'vitest';

const inCi = process.env['CI'] === 'true';

/**
 * `test` where all the files of a peer exist. In CI a missing peer fails the test; on a user's machine the test is
 * skipped under a name that says what to install.
 * @param debianPackage what to install where it is missing.
 */
export function testWithPeer(
  debianPackage: string,
  files: readonly string[],
  name: string,
  body: () => void | Promise<void>,
): void {
  const missing = files.filter((file) => !existsSync(file));
  const title = `${name} [needs package ${debianPackage}: ${missing.join(', ')} missing]`;
  if (missing.length === 0) {
    test(name, body);
  } else if (inCi) {
    test(title, () => {
      throw new Error(`peer missing in CI: install ${debianPackage}`);
    });
  } else {
    test.skip(title, body);
  }
}
