/** What a key of a configuration does to the request: sets a field of it, is said to have no effect, or is refused. */

import { existsSync } from 'node:fs';
import { type DomainCreateInput, POLICIES } from '../schemas/domain.js';
import { UserError } from './client.js';
import type { Setting, Settings, Value } from './config-text.js';
import { parseDisk, parseVif } from './device-specs.js';

export type Draft = { -readonly [K in keyof DomainCreateInput]?: DomainCreateInput[K] };
export interface Context {
  readonly draft: Draft;
  readonly settings: Settings;
  warn(text: string): void;
}
export type Setter = (context: Context, setting: Setting, key: string) => void;

type NumberField =
  | 'memory'
  | 'maxMemory'
  | 'vcpus'
  | 'maxVcpus'
  | 'weight'
  | 'cap'
  | 'maxGrantFrames'
  | 'maxMaptrackFrames'
  | 'maxEventChannels';
type PolicyField = 'onPoweroff' | 'onReboot' | 'onCrash' | 'onWatchdog' | 'onSoftReset';

export const text =
  (field: 'name' | 'kernel' | 'ramdisk' | 'uuid'): Setter =>
  ({ draft }, setting, key) => {
    draft[field] = stringOf(setting, key);
  };

export const whole =
  (field: NumberField): Setter =>
  ({ draft }, setting, key) => {
    draft[field] = numberOf(setting, key);
  };

/** @param same what the domain does anyway, if nothing is said. */
export const policy =
  (field: PolicyField, ...same: readonly string[]): Setter =>
  ({ draft }, setting, key) => {
    const name = stringOf(setting, key);
    if (same.includes(name)) return;
    const found = POLICIES.find((each) => each === name);
    if (found === undefined) {
      throw new UserError(`${setting.where}: ${key}: "${name}" is none of ${POLICIES.join(', ')}`);
    }
    draft[field] = found;
  };

/** The command line: `cmdline` if there is one, else `root` and `extra`. */
export const commandLine: Setter = ({ draft, settings, warn }, { where }, key) => {
  const textOf = (name: string): string => {
    const setting = settings.get(name);
    return setting === undefined ? '' : stringOf(setting, name);
  };
  const root = textOf('root');
  const parts = [root && `root=${root}`, textOf('extra')];
  const isWhole = settings.has('cmdline');
  draft.cmdline = isWhole ? textOf('cmdline') : parts.filter(Boolean).join(' ');
  if (isWhole && key !== 'cmdline') warn(`${where}: ${key} is ignored, as there is cmdline`);
};

export const disks: Setter = ({ draft, warn }, setting, key) => {
  draft.disks = listOf(setting, key).map((spec) => parseDisk(spec, warn));
};
export const vifs: Setter = ({ draft, warn }, setting, key) => {
  draft.vifs = listOf(setting, key).map((spec) => parseVif(spec, warn));
};

/** Where Debian keeps GRUB for PV domains; package grub-xen-host. */
const PVGRUB = '/usr/lib/grub-xen/grub-x86_64-xen.bin';

export const firmware: Setter = ({ draft, settings }, { value, where }) => {
  if (value !== 'pvgrub64') throw new UserError(`${where}: firmware: only "pvgrub64" is possible`);
  if (settings.has('kernel'))
    throw new UserError(`${where}: firmware and kernel exclude each other`);
  if (!existsSync(PVGRUB))
    throw new UserError(`${where}: ${PVGRUB} is missing: install grub-xen-host`);
  draft.kernel = PVGRUB;
};

/** One of the values is what a domain is anyway; the others are refused. */
export const only =
  (allowed: readonly string[], why: string): Setter =>
  (_context, { value, where }, key) => {
    if (typeof value === 'string' && allowed.includes(value)) return;
    const words = allowed.map((word) => JSON.stringify(word)).join(' and ');
    throw new UserError(`${where}: ${key}: only ${words} is possible here: ${why}`);
  };

/** What would take something away from the domain that it asks for; asking for nothing is no fault. */
export const refused =
  (why: string): Setter =>
  (_context, { value, where }, key) => {
    if (isNothing(value)) return;
    throw new UserError(`${where}: "${key}" is not possible here: ${why}`);
  };

/** What a domain can do without. Values that ask for what it is anyway go without a word. */
export const ignored =
  (why: string, ...same: readonly string[]): Setter =>
  ({ warn }, { value, where }, key) => {
    if (isNothing(value) || same.includes(String(value))) return;
    warn(`${where}: ${key} has no effect: ${why}`);
  };

const isNothing = (value: Value): boolean => value.length === 0 || value === '0';

function stringOf({ value, where }: Setting, key: string): string {
  if (typeof value === 'string') return value;
  throw new UserError(`${where}: ${key} is a "string", not a list`);
}

/** Decimal, hexadecimal, or octal after a 0. */
function numberOf(setting: Setting, key: string): number {
  const digits = stringOf(setting, key);
  if (/^0[0-7]+$/.test(digits)) return Number.parseInt(digits, 8);
  if (/^(0x[\da-f]+|\d+(\.\d+)?)$/i.test(digits)) return Number(digits);
  throw new UserError(`${setting.where}: ${key} must be a number, not "${digits}"`);
}

function listOf({ value, where }: Setting, key: string): readonly string[] {
  const items = typeof value === 'object' ? value : undefined;
  const strings = items?.filter((item) => typeof item === 'string');
  if (strings !== undefined && strings.length === items?.length) return strings;
  throw new UserError(`${where}: ${key} is a list of strings: ${key} = [ "..." ]`);
}
