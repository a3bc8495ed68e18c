/**
 * From xl's settings to the request that creates a domain. Settings that a PV domain here cannot honour are refused by name,
 * unknown ones are said and left out. Spec: xl.cfg(5).
 */

import { existsSync } from 'node:fs';
import type { DomainCreateInput } from '../schemas/domain.js';
import { UserError } from './client.js';
import type { Setting, Settings } from './config-text.js';
import { parseDisk, parseVif } from './device-specs.js';

type Draft = { -readonly [K in keyof DomainCreateInput]?: DomainCreateInput[K] };
interface Context {
  readonly draft: Draft;
  readonly settings: Settings;
  warn(text: string): void;
}
type Setter = (context: Context, setting: Setting, key: string) => void;

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

const text =
  (field: 'name' | 'kernel' | 'ramdisk' | 'uuid'): Setter =>
  ({ draft }, { value }) => {
    draft[field] = String(value);
  };
const whole =
  (field: NumberField): Setter =>
  ({ draft }, { value }, key) => {
    if (typeof value === 'object' || !/^(0x[\da-f]+|\d+(\.\d+)?)$/i.test(String(value))) {
      throw new UserError(`${key} must be a number, not "${value}"`);
    }
    draft[field] = Number(value);
  };
const policy =
  (field: 'onPoweroff' | 'onReboot' | 'onCrash' | 'onWatchdog'): Setter =>
  ({ draft, warn }, { value, where }) => {
    const [, core, rest] = /^(coredump-)?(.*)$/.exec(String(value)) ?? [];
    if (core !== undefined) warn(`${where}: no core is dumped`);
    draft[field] = rest as NonNullable<DomainCreateInput['onCrash']>;
  };
const only =
  (allowed: string, advice = ''): Setter =>
  (_context, { value }, key) => {
    if (value !== allowed)
      throw new UserError(`${key}: only ${JSON.stringify(allowed)} is possible${advice}`);
  };
const refused =
  (why: string): Setter =>
  (_context, { where }, key) => {
    throw new UserError(`${where}: "${key}" is not possible here: ${why}`);
  };
const without: Setter = ({ warn }, { where }, key) => warn(`${where}: ${key} has no effect here`);
const silently: Setter = () => undefined;

/** The command line: `cmdline` if there is one, else `root` and `extra`. */
const commandLine: Setter = ({ draft, settings, warn }, { where }, key) => {
  const whole = settings.get('cmdline')?.value;
  const root = settings.get('root')?.value;
  const parts = [root && `root=${root}`, settings.get('extra')?.value];
  draft.cmdline = String(whole ?? parts.filter(Boolean).join(' '));
  if (whole !== undefined && key !== 'cmdline')
    warn(`${where}: ${key} is ignored, as there is cmdline`);
};

const disks: Setter = ({ draft, warn }, setting, key) => {
  draft.disks = listOf(setting, key).map((spec) => parseDisk(spec, warn));
};
const vifs: Setter = ({ draft, warn }, setting, key) => {
  draft.vifs = listOf(setting, key).map((spec) => parseVif(spec, warn));
};

/** Where Debian keeps GRUB for PV domains; package grub-xen-host. */
const PVGRUB = '/usr/lib/grub-xen/grub-x86_64-xen.bin';
const firmware: Setter = ({ draft, settings }, { value, where }) => {
  if (value !== 'pvgrub64') throw new UserError(`${where}: firmware: only "pvgrub64" is possible`);
  if (settings.has('kernel'))
    throw new UserError(`${where}: firmware and kernel exclude each other`);
  if (!existsSync(PVGRUB))
    throw new UserError(`${where}: ${PVGRUB} is missing: install grub-xen-host`);
  draft.kernel = PVGRUB;
};
const bootloader: Setter = (_context, { where }) => {
  const advice = 'use firmware="pvgrub64", which runs GRUB in the domain, or kernel and ramdisk';
  throw new UserError(`${where}: "bootloader" is not possible here: ${advice}`);
};
const HARDWARE = 'there is no such hardware';

// biome-ignore format: one row per key
const KEYS: Readonly<Record<string, Setter>> = {
  name:                text('name'),
  uuid:                text('uuid'),
  kernel:              text('kernel'),
  ramdisk:             text('ramdisk'),
  cmdline:             commandLine,
  extra:               commandLine,
  root:                commandLine,
  memory:              whole('memory'),
  maxmem:              whole('maxMemory'),
  vcpus:               whole('vcpus'),
  maxvcpus:            whole('maxVcpus'),
  cpu_weight:          whole('weight'),
  cap:                 whole('cap'),
  max_grant_frames:    whole('maxGrantFrames'),
  max_maptrack_frames: whole('maxMaptrackFrames'),
  max_event_channels:  whole('maxEventChannels'),
  disk:                disks,
  vif:                 vifs,
  on_poweroff:         policy('onPoweroff'),
  on_reboot:           policy('onReboot'),
  on_crash:            policy('onCrash'),
  on_watchdog:         policy('onWatchdog'),
  on_soft_reset:       without,
  type:                only('pv', ': this host has no HVM and no PVH'),
  builder:             only('generic', ': this host has no HVM'),
  firmware:            firmware,
  bootloader:          bootloader,
  bootargs:            without,
  cpus:                silently,
  cpus_soft:           silently,
  nomigrate:           silently,
  localtime:           silently,
  rtc_timeoffset:      silently,
  tsc_mode:            silently,
  timer_mode:          silently,
  vfb:                 without,
  vnc:                 without,
  pool:                without,
  seclabel:            without,
  pci:                 refused(HARDWARE),
  usbctrl:             refused(HARDWARE),
  usbdev:              refused(HARDWARE),
  dtdev:               refused(HARDWARE),
  ioports:             refused(HARDWARE),
  irqs:                refused(HARDWARE),
  iomem:               refused(HARDWARE),
  vtpm:                refused(HARDWARE),
  p9:                  refused('there is no 9pfs backend'),
  channel:             refused('there are no channels'),
  driver_domain:       refused('all backends are in domain 0'),
};

/** @param warn hears what is left out. @throws UserError if it is refused, or what every domain needs is missing. */
export function requestOf(settings: Settings, warn: (text: string) => void): DomainCreateInput {
  const draft: Draft = {};
  const context = { draft, settings, warn };
  for (const [key, setting] of settings) {
    const setter = Object.hasOwn(KEYS, key) ? KEYS[key] : undefined;
    if (setter === undefined) warn(`${setting.where}: unknown key "${key}" is ignored`);
    else setter(context, setting, key);
  }
  const { name, kernel } = draft;
  if (name === undefined) throw new UserError('the domain needs a name: name="..."');
  if (kernel === undefined) {
    throw new UserError('the domain needs a kernel: kernel="..." or firmware="pvgrub64"');
  }
  return { ...draft, name, kernel };
}

function listOf({ value, where }: Setting, key: string): readonly string[] {
  if (typeof value === 'object') return value;
  throw new UserError(`${where}: ${key} is a list: ${key} = [ "..." ]`);
}
