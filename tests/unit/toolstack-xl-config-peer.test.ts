/** xl's configurations read as Xen's own libxlutil reads them, and each key that xl.cfg(5) documents has its row. */

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { describe, expect } from 'vitest';
import { UserError } from '../../toolstack/cli/client.js';
import { KEYS } from '../../toolstack/cli/config-keys.js';
import { parseConfig, type Value } from '../../toolstack/cli/config-text.js';
import { parseDisk } from '../../toolstack/cli/device-specs.js';
import { testWithPeer } from '../support/peer.js';

const HEADER = '/usr/include/libxlutil.h';
const SOURCE = join(import.meta.dirname, '../support/xlu-reader.c');
let built: string | undefined;

function reader(): string {
  if (built !== undefined) return built;
  built = join(mkdtempSync(join(tmpdir(), 'xlu-')), 'xlu-reader');
  execFileSync('gcc', ['-o', built, SOURCE, '-lxlutil', '-lxenlight']);
  return built;
}

const peer = (args: readonly string[], input = ''): string =>
  execFileSync(reader(), args, { input, stdio: ['pipe', 'pipe', 'ignore'] }).toString();

const show = (value: Value): string =>
  typeof value === 'string' ? `<${value}>` : `[${value.map(show).join('')}]`;

function ours(text: string): string {
  try {
    return [...parseConfig(text, 'cfg')]
      .map(([key, { value }]) => `${key}=${show(value)}\n`)
      .join('');
  } catch (error) {
    if (error instanceof UserError) return 'error\n';
    throw error;
  }
}

const CONFIGS = [
  'a=1',
  'a=010;b=0x1f',
  'name="h0"\ntype="hvm"',
  'name="h0"; type="hvm"',
  "a='it\\'s' # why",
  'a="say \\"hi\\" \\\\ \\ttab"',
  'a=[1,"b",["c",[]]]',
  'a="x"\na+="y"',
  'a=["x"]\na+=["y"]',
  'a=["x"]\na+="y"',
  'a="x" b="y"',
  'a=[ "x",\n\n"y" ,\n]',
  'a=["x" "y"]',
  'a=[,]',
  'a=["x",,]',
  'a-b=1',
  'a=1;;b=2',
  'a=\n1',
  'a=[]',
  'a="x\ny"',
  'a=12z',
  'a="1"; a="2"',
  'a=[#c\n"x"]',
  'a+="y"',
  ';a=1',
  'a=""',
  'a="\\q"',
  'a="\\x"',
  'import os',
  'disk = [ "/dev/vg/guest-volume,,hda", "/root/image.iso,,hdc,cdrom" ]',
  'vnuma = [ ["pnode=0","size=512","vcpus=0-4","vdistances=10,20"] ]',
  'cpus="0-3"; pci=["01:05.1","01:05.2"]',
];

/** Raw images that are there: what else libxlutil takes is refused here by name. */
const DISKS = [
  '/dev/vg/guest-volume,,hda',
  '/dev/vg/guest-volume,raw,hda,rw',
  'format=raw, vdev=hda, access=rw, target=/dev/vg/guest-volume',
  'raw:/dev/vg/guest-volume,hda,w',
  '/root/image.iso,,hdc,cdrom',
  '/root/image.iso,,hdc,,cdrom',
  '/root/image.iso,raw,hdc,devtype=cdrom',
  'format=raw, vdev=hdc, access=ro, devtype=cdrom, target=/root/image.iso',
  'raw:/root/image.iso,hdc:cdrom,ro',
  'phy:/a,hda,w',
  'tap:aio:/a,xvda,r',
  'file:/a,xvda',
  '/a,hda,w',
  '/a,raw,xvda,rw,vdev=xvdb',
  'format=raw,format=raw,vdev=xvda,target=/a,b=c',
  '/a,raw,xvda,rw,',
  '/a,raw,xvda,!',
  '/a,,xvda,access=',
  '/a,,xvda,target=',
  '/a,format=,xvda',
  '/a,,hdc:cdrom',
  '/a,,xvda,rw,cdrom',
  '/a,,xvda,discard=x',
  'aio:/a,raw,xvda,w',
  'xvda',
];

function ourDisk(spec: string): string {
  try {
    const { target, vdev, access = 'rw', cdrom = false } = parseDisk(spec, () => undefined);
    return `path=${target} vdev=${vdev} format=raw rw=${Number(access === 'rw')} cdrom=${Number(cdrom)} script=\n`;
  } catch (error) {
    if (error instanceof UserError) return 'error\n';
    throw error;
  }
}

describe('as libxlutil reads it', () => {
  for (const text of CONFIGS) {
    const keys = [...new Set([...text.matchAll(/([a-z]+)\s*\+?=/g)].map(([, key = '']) => key))];
    testWithPeer('libxen-dev', [HEADER], JSON.stringify(text), () => {
      expect(ours(text)).toBe(peer(['cfg', ...keys], `${text}\n`));
    });
  }
  for (const spec of DISKS) {
    testWithPeer('libxen-dev', [HEADER], `disk ${spec}`, () => {
      expect(ourDisk(spec)).toBe(peer(['disk', spec]));
    });
  }
});

describe('the table of keys', () => {
  // As the page is typeset, a key that is described starts an item: `.IP "\fBkey="...`, in small capitals or not.
  const MANUAL = '/usr/share/man/man5/xl.cfg.5.gz';
  const READER = '/usr/lib/xen-4.17/bin/xl';
  testWithPeer('xen-utils-4.17', [READER], "names only keys that Xen's xl looks for", () => {
    const strings = readFileSync(READER, 'latin1');
    const unknown = Object.keys(KEYS).filter((key) => !strings.includes(`${key}\0`));
    expect(unknown).toEqual(
      ['bootargs', 'device_model_user'].filter((key) => unknown.includes(key)),
    );
  });
  testWithPeer('xen-utils-common', [MANUAL], 'has a row for each key of xl.cfg(5)', () => {
    const page = gunzipSync(readFileSync(MANUAL))
      .toString()
      .replace(/\\f[A-Z]|\\s[-+]?\d/g, '');
    const keys = [...page.matchAll(/^\.IP "([a-z][a-z0-9_]*)=/gm)].map(([, key = '']) => key);
    const [start, end] = [keys.indexOf('name'), keys.length];
    const parts = new Set(
      // of devices and of the vnuma list, not keys of a configuration
      `pnode size vdistances backend tag path name type connection policy strategy version ports hostbus hostaddr controller port
       security_model width height display vcpus connectors identifier`.split(/\s+/),
    );
    const missing = keys.slice(start, end).filter((key) => !(key in KEYS) && !parts.has(key));
    expect(keys.length).toBeGreaterThan(100);
    expect(missing).toEqual([]);
  });
});
