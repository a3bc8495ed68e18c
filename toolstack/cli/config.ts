/**
 * The domain configuration as xl reads it: a file of `key = value` lines, and more such lines as arguments.
 * Values are "strings", 'strings' or numbers. Keys that a PV domain here cannot honour are refused by name.
 * Spec: xl.cfg(5).
 */

import type { DomainCreateInput } from '../schemas/domain.js';
import { UserError } from './client.js';

type Value = string | number;
type Draft = { -readonly [K in keyof DomainCreateInput]?: DomainCreateInput[K] };
type Setter = (draft: Draft, value: Value, key: string) => void;

const text =
  (field: 'name' | 'kernel' | 'ramdisk' | 'uuid'): Setter =>
  (draft, value) => {
    draft[field] = String(value);
  };
const whole =
  (field: 'memory' | 'vcpus' | 'maxVcpus' | 'weight' | 'cap'): Setter =>
  (draft, value, key) => {
    if (typeof value === 'string' && !/^\d+(\.\d+)?$/.test(value)) {
      throw new UserError(`${key} must be a number, not "${value}"`);
    }
    draft[field] = Number(value);
  };
const words =
  (prefix: string): Setter =>
  (draft, value) => {
    draft.cmdline = [draft.cmdline, `${prefix}${value}`].filter(Boolean).join(' ');
  };
const policy =
  (field: 'onPoweroff' | 'onReboot' | 'onCrash' | 'onWatchdog'): Setter =>
  (draft, value) => {
    draft[field] = String(value) as NonNullable<DomainCreateInput['onCrash']>;
  };
const only =
  (allowed: Value): Setter =>
  (_draft, value, key) => {
    if (value !== allowed)
      throw new UserError(`${key}: only ${JSON.stringify(allowed)} is possible`);
  };

// biome-ignore format: one row per key
const KEYS: Readonly<Record<string, Setter>> = {
  name:        text('name'),
  uuid:        text('uuid'),
  kernel:      text('kernel'),
  ramdisk:     text('ramdisk'),
  cmdline:     words(''),
  extra:       words(''),
  root:        words('root='),
  memory:      whole('memory'),
  vcpus:       whole('vcpus'),
  maxvcpus:    whole('maxVcpus'),
  cpu_weight:  whole('weight'),
  cap:         whole('cap'),
  on_poweroff: policy('onPoweroff'),
  on_reboot:   policy('onReboot'),
  on_crash:    policy('onCrash'),
  on_watchdog: policy('onWatchdog'),
  type:        only('pv'),
  builder:     only('generic'),
};

const LINE = /^\s*([A-Za-z_]\w*)\s*=\s*(.*?)\s*$/;
const LITERAL =
  /^(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|(0x[0-9a-fA-F]+|\d+(?:\.\d+)?))\s*(?:#.*)?$/;

/** @param source its name, for messages. */
export function parseConfig(content: string, source: string): Draft {
  const draft: Draft = {};
  for (const [index, line] of content.split('\n').entries()) {
    if (/^\s*(#.*)?$/.test(line)) continue;
    set(draft, line, `${source}:${index + 1}`, decodeLiteral);
  }
  return draft;
}

/** `key=value` arguments go over the file's lines; a bare word is taken for a string. */
export function applyArguments(draft: Draft, assignments: readonly string[]): Draft {
  const over: Draft = {};
  for (const word of assignments) {
    set(over, word, word, (value) => decodeLiteral(value) ?? value);
  }
  return { ...draft, ...over };
}

/** Throws if what every domain needs is missing. */
export function complete(draft: Draft): DomainCreateInput {
  const { name, kernel } = draft;
  if (name === undefined) throw new UserError('the domain needs a name: name="..."');
  if (kernel === undefined) throw new UserError('the domain needs a kernel: kernel="..."');
  return { ...draft, name, kernel };
}

function set(
  draft: Draft,
  line: string,
  where: string,
  decode: (literal: string) => Value | undefined,
): void {
  const [, key = '', literal = ''] = LINE.exec(line) ?? [];
  const value = key === '' ? undefined : decode(literal);
  if (value === undefined) throw new UserError(`${where}: expected key = "string" or number`);
  const setter = Object.hasOwn(KEYS, key) ? KEYS[key] : undefined;
  if (setter === undefined) throw new UserError(`${where}: "${key}" is not possible here`);
  setter(draft, value, key);
}

function decodeLiteral(literal: string): Value | undefined {
  const [, double, single, number] = LITERAL.exec(literal) ?? [];
  if (number !== undefined) return Number(number);
  return (double ?? single)?.replace(/\\(.)/g, '$1');
}
