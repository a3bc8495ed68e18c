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
/** Of old, in front of the target: what says the format, what would run a script, what says nothing. */
const PREFIX = /^(?:(raw|qcow2?|vhd)|(iscsi|nbd|enbd|drbd)|tapdisk|tap2?|aio|ioemu|file|phy):/;
const BACKENDS = new Set(['', 'phy', 'qdisk', 'tap']);
/** The domain in which all backends are. */
const DOMAIN_0 = new Set(['', '0', 'Domain-0']);

const NAMED = ['format', 'vdev', 'access', 'devtype', 'backendtype', 'script'] as const;
type Named = (typeof NAMED)[number];

interface DiskWords {
  readonly values: Partial<Record<Named | 'target' | 'backend' | 'specification', string>>;
  discard: boolean;
  overlay?: string;
}

export function parseDisk(spec: string, warn: Warn): DiskInput {
  const { values, discard, overlay } = diskWords(spec, warn);
  const [name = '', suffix] = (values.vdev ?? '').split(':');
  const isCdrom = values.devtype === 'cdrom' || suffix === 'cdrom';
  const fault = faultOf(values, name);
  if (fault !== undefined) throw new UserError(`disk "${spec}": ${fault}`);
  const mode = isCdrom ? 'ro' : ACCESS[values.access ?? ''];
  return {
    vdev: name,
    target: values.target ?? '',
    ...(mode && { access: mode }),
    ...(isCdrom && { cdrom: true }),
    ...(!discard && { discard: false }),
    ...(overlay !== undefined && { overlay: overlay === '' ? true : overlay }),
  };
}

function faultOf(values: DiskWords['values'], vdev: string): string | undefined {
  const { target = '', format = '', access = '', backendtype = '', script = '' } = values;
  const { backend = '', specification = '' } = values;
  // biome-ignore format: one row per fault
  const faults: readonly (readonly [boolean, string])[] = [
    [vdev === '',                                       'it has no vdev: xvda'],
    [target === '',                                     'it has no target; an empty drive is not possible'],
    [script !== '',                                     `script ${script} is not possible: a target is a file`],
    [format !== '' && format !== 'raw',                 `format ${format} is not possible, only raw: qemu-img convert -O raw makes one`],
    [!BACKENDS.has(backendtype),                        `backendtype ${backendtype} is not possible`],
    [!DOMAIN_0.has(backend),                            `backend ${backend} is not possible: all backends are in domain 0`],
    [specification !== '' && specification !== 'xen',   `specification ${specification} is not possible, only xen`],
    [access !== '' && ACCESS[access] === undefined,     `access ${access} is neither ro nor rw`],
  ];
  return faults.find(([holds]) => holds)?.[1];
}

function diskWords(spec: string, warn: Warn): DiskWords {
  const words: DiskWords = { values: {}, discard: true };
  let rest = spec.trim();
  for (let prefix = PREFIX.exec(rest); prefix; prefix = PREFIX.exec(rest)) {
    rest = rest.slice(prefix[0].length);
    words.values.format = prefix[1] ?? words.values.format ?? 'raw';
    if (prefix[2] !== undefined) words.values.script = `block-${prefix[2]}`;
  }
  while (rest !== '') {
    // A target that is named takes all the rest, commas and all.
    const named = /^target=(.*)$/s.exec(rest);
    if (named) {
      setOnce(words, 'target', named[1] ?? '', spec);
      break;
    }
    const comma = rest.indexOf(',');
    const word = (comma < 0 ? rest : rest.slice(0, comma)).trim();
    rest = comma < 0 ? '' : rest.slice(comma + 1).trim();
    takeDiskWord(words, word, spec, warn);
  }
  return words;
}

/** An empty value is as good as none. */
function setOnce(
  { values }: DiskWords,
  key: keyof DiskWords['values'],
  value: string,
  spec: string,
): void {
  const before = values[key];
  if (before !== undefined && before !== '' && before !== value) {
    throw new UserError(`disk "${spec}": ${key} is set twice`);
  }
  values[key] = value;
}

function takeDiskWord(words: DiskWords, word: string, spec: string, warn: Warn): void {
  const [, key, value = ''] = /^([a-z_-]+)=(.*)$/s.exec(word) ?? [];
  if (key === undefined) {
    takeFlag(words, word, spec, warn);
    return;
  }
  const named = [...NAMED, 'backend', 'specification'] as const;
  const known = named.find((name) => name === key);
  if (known !== undefined) setOnce(words, known, value, spec);
  else if (key === 'overlay') words.overlay = value;
  else throw new UserError(`disk "${spec}": "${key}" is not possible here`);
}

function takeFlag(words: DiskWords, word: string, spec: string, warn: Warn): void {
  switch (word) {
    case 'overlay':
      words.overlay = '';
      return;
    case 'cdrom':
      setOnce(words, 'devtype', 'cdrom', spec);
      return;
    case 'discard':
    case 'no-discard':
      words.discard = word === 'discard';
      return;
    case 'direct-io-safe':
    case 'trusted':
      return;
    case 'untrusted':
      warn(`disk "${spec}": untrusted is not passed on`);
      return;
    case 'colo':
      throw new UserError(`disk "${spec}": "colo" is not possible here`);
  }
  const position = POSITIONS.find((name) => words.values[name] === undefined);
  if (position !== undefined) words.values[position] = word;
  else if (word !== '') throw new UserError(`disk "${spec}": "${word}" is one too many`);
}

const VIF_FIELDS = new Set(['mac', 'bridge', 'ip', 'rate', 'mtu']);
/** Of emulated cards: a PV domain has none. */
const VIF_SILENT = new Set(['type', 'model', 'trusted', 'accel']);
/** Of the host's interfaces and the scripts that set them up. */
const VIF_IGNORED = new Set(['script', 'gatewaydev', 'netdev', 'vifname', 'devid', 'untrusted']);

export function parseVif(spec: string, warn: Warn): VifInput {
  const vif: Record<string, string | number> = {};
  for (const word of spec.split(',').map((each) => each.trim())) {
    const [, key = word, value] = /^([a-z_]+)=(.*)$/s.exec(word) ?? [];
    if (VIF_FIELDS.has(key) && value !== undefined) {
      vif[key] = key === 'mtu' ? Number(value) : value;
    } else if (VIF_IGNORED.has(key)) {
      warn(`vif "${spec}": ${key} is not used`);
    } else if (!saysNothing(key, value)) {
      throw new UserError(`vif "${spec}": "${key}" is not possible here`);
    }
  }
  return vif;
}

const saysNothing = (key: string, value = ''): boolean =>
  key === '' || VIF_SILENT.has(key) || (key === 'backend' && DOMAIN_0.has(value));
