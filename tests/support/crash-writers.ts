/**
 * What a guest does to a file system while its host is killed, as scripts for busybox, and the reading of what it said about it.
 * Each line is printed after the guest's kernel has answered: a line that was seen is a promise.
 *
 *     begun NAME          a new file is being written
 *     safe NAME SHA256    ... and is on the disk: fsync has returned
 *     logged ROUND N      line N of the log was appended and is on the disk
 *     moved ROUND N       the file "current" has been replaced by version N, and sync has returned
 */

/** Where the guest mounts the file system. */
export const MOUNT = '/disk';

/** Files for the guest's root; `/bin/writers ROUND` starts all of them and returns. */
export const WRITERS: Readonly<Record<string, string>> = {
  // New files of random bytes, up to so many KiB, each with its fsync.
  'bin/files': `#!/bin/sh
n=0
while :; do
  n=$((n + 1))
  name=$1-$2-$n
  head -c $(((RANDOM % $3) * 1024 + RANDOM % 1024 + 1)) /dev/urandom > /tmp/$2
  sum=$(sha256sum < /tmp/$2)
  echo "begun $name"
  busybox dd if=/tmp/$2 of=${MOUNT}/$name bs=16k conv=fsync 2> /dev/null && echo "safe $name \${sum%% *}"
done
`,
  'bin/log': `#!/bin/sh
n=0
while :; do
  n=$((n + 1))
  echo "$1 $n" > /tmp/line
  busybox dd if=/tmp/line of=${MOUNT}/log-$1 oflag=append conv=notrunc,fsync 2> /dev/null && echo "logged $1 $n"
done
`,
  'bin/replace': `#!/bin/sh
n=0
while :; do
  n=$((n + 1))
  { echo "$n"; seq $n $((n + 5000)); } > /tmp/version
  busybox dd if=/tmp/version of=${MOUNT}/next-$1 conv=fsync 2> /dev/null &&
    busybox mv ${MOUNT}/next-$1 ${MOUNT}/current-$1 && sync && echo "moved $1 $n"
done
`,
  // What nobody has asked to be safe: large files that come and go.
  'bin/noise': `#!/bin/sh
while :; do
  busybox dd if=/dev/zero of=${MOUNT}/noise bs=64k count=256 2> /dev/null
  busybox rm ${MOUNT}/noise
done
`,
  'bin/writers': `#!/bin/sh
files $1 small 8 &
files $1 large 300 &
log $1 &
replace $1 &
noise &
`,
};

export interface Promises {
  /** Files by name: the SHA-256 of each. */
  readonly safe: ReadonlyMap<string, string>;
  /** Files that were being written, and may be there or not. */
  readonly inFlight: readonly string[];
  /** Last lines and versions. */
  readonly logged: number;
  readonly moved: number;
}

/** What a guest had promised when the console fell silent; of a last line that is not whole, nothing. */
export function promisesOf(output: string): Promises {
  const safe = new Map<string, string>();
  for (const [, name = '', sum = ''] of output.matchAll(/^safe (\S+) ([0-9a-f]{64})\n/gm)) {
    safe.set(name, sum);
  }
  const begun = [...output.matchAll(/^begun (\S+)\n/gm)].map(([, name = '']) => name);
  return {
    safe,
    inFlight: begun.filter((name) => !safe.has(name)),
    logged: lastOf(output, /^logged \d+ (\d+)\n/gm),
    moved: lastOf(output, /^moved \d+ (\d+)\n/gm),
  };
}

const lastOf = (output: string, pattern: RegExp): number =>
  Math.max(0, ...[...output.matchAll(pattern)].map(([, n]) => Number(n)));
