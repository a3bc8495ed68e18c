/** Disks and network interfaces as xl writes them. Spec: xl-disk-configuration(5), xl-network-configuration(5). */

import type { z } from 'zod';
import type { DiskConfig } from '../schemas/disk.js';
import type { VifConfig } from '../schemas/vif.js';
import { UserError } from './client.js';

export type DiskInput = z.input<typeof DiskConfig>;
export type VifInput = z.input<typeof VifConfig>;

/** What cannot be honoured and does no harm is said to `warn`. */
type Warn = (text: string) => void;

const ACCESS: Readonly<Record<string, 'ro' | 'rw'>> = { r: 'ro', ro: 'ro', w: 'rw', rw: 'rw' };
/** In the order in which they come if they are not named. */
const POSITIONS = ['target', 'format', 'vdev', 'access'] as const;
/** Of old: a format before the target. */
const PREFIX = /^(?:raw|file|phy|tap2?|aio|tapdisk):/;
const BACKENDS = new Set(['', 'phy', 'qdisk', 'tap']);

interface DiskWords {
  target?: string;
  format?: string;
  vdev?: string;
  access?: string;
  devtype?: string;
  backendtype?: string;
  discard: boolean;
  overlay?: string;
}

export function parseDisk(spec: string, warn: Warn): DiskInput {
  const words = diskWords(spec, warn);
  const { target = '', vdev = '', access = '', devtype, discard, overlay } = words;
  const fault = faultOf(words);
  if (fault !== undefined) throw new UserError(`disk "${spec}": ${fault}`);
  const [name = '', suffix] = vdev.split(':');
  const isCdrom = devtype === 'cdrom' || suffix === 'cdrom';
  const mode = isCdrom ? 'ro' : ACCESS[access];
  return {
    vdev: name,
    target,
    ...(mode && { access: mode }),
    ...(isCdrom && { cdrom: true }),
    ...(!discard && { discard: false }),
    ...(overlay !== undefined && { overlay: overlay === '' ? true : overlay }),
  };
}

function faultOf(words: DiskWords): string | undefined {
  const { target = '', format = '', vdev = '', access = '', backendtype = '' } = words;
  if (target === '') return 'it has no target; an empty drive is not possible';
  if (vdev === '') return 'it has no vdev: xvda';
  if (format !== '' && format !== 'raw') return `format ${format} is not possible, only raw`;
  if (!BACKENDS.has(backendtype)) return `backendtype ${backendtype} is not possible`;
  if (access !== '' && ACCESS[access] === undefined) return `access ${access} is neither ro nor rw`;
  return undefined;
}

function diskWords(spec: string, warn: Warn): DiskWords {
  const words: DiskWords = { discard: true };
  let rest = spec.trim();
  const prefix = PREFIX.exec(rest);
  if (prefix) {
    rest = rest.slice(prefix[0].length);
    words.format = 'raw';
  }
  while (rest !== '') {
    // A target that is named takes all the rest, commas and all.
    const named = /^target=(.*)$/s.exec(rest);
    if (named) {
      words.target = named[1] ?? '';
      break;
    }
    const comma = rest.indexOf(',');
    const word = (comma < 0 ? rest : rest.slice(0, comma)).trim();
    rest = comma < 0 ? '' : rest.slice(comma + 1).trim();
    takeDiskWord(words, word, spec, warn);
  }
  return words;
}

function takeDiskWord(words: DiskWords, word: string, spec: string, warn: Warn): void {
  const [, key, value = ''] = /^([a-z_-]+)=(.*)$/s.exec(word) ?? [];
  switch (key ?? word) {
    case 'format':
    case 'vdev':
    case 'access':
    case 'devtype':
    case 'backendtype':
      if (key !== undefined) words[key as 'format'] = value;
      return;
    case 'overlay':
      words.overlay = value;
      return;
    case 'cdrom':
      words.devtype = 'cdrom';
      return;
    case 'discard':
    case 'no-discard':
      words.discard = word === 'discard';
      return;
    case 'direct-io-safe':
      return;
    case 'script':
      warn(`disk "${spec}": script is not run`);
      return;
  }
  if (key !== undefined) throw new UserError(`disk "${spec}": "${key}" is not possible here`);
  const position = POSITIONS.find((name) => words[name] === undefined);
  if (position === undefined) throw new UserError(`disk "${spec}": "${word}" is one too many`);
  words[position] = word;
}

const VIF_FIELDS = new Set(['mac', 'bridge', 'ip', 'rate']);
/** Of emulated cards, or of the scripts that a real host runs. */
const VIF_IGNORED = new Set(['type', 'model', 'vifname', 'trusted', 'accel']);

export function parseVif(spec: string, warn: Warn): VifInput {
  const vif: Record<string, string | number> = {};
  for (const word of spec.split(',').map((each) => each.trim())) {
    if (word === '') continue;
    const [, key = '', value = ''] = /^([a-z_]+)=(.*)$/s.exec(word) ?? [];
    if (VIF_FIELDS.has(key)) vif[key] = value;
    else if (key === 'mtu') vif[key] = Number(value);
    else if (key === 'script' || key === 'gatewaydev') warn(`vif "${spec}": ${key} is not used`);
    else if (!VIF_IGNORED.has(key)) {
      throw new UserError(`vif "${spec}": "${key || word}" is not possible here`);
    }
  }
  return vif;
}
