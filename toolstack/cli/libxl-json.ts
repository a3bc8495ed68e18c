/**
 * Configurations as libxl writes them in JSON, which is what `xl list -l` prints and what tools around xl exchange: read into the
 * settings of xl.cfg, and written of a domain that exists. What has its default is left out, as libxl does.
 * Spec: _libxl_types.h, libxl_domain_config.
 */

import { z } from 'zod';
import type { Domain } from '../schemas/domain.js';
import { UserError } from './client.js';
import type { Setting, Settings, Value } from './config-text.js';

const KIB_PER_MIB = 1024;
const KIB_PER_PAGE = 4;

const Json = z.record(z.string(), z.unknown());
type Json = z.infer<typeof Json>;
type Read = (value: never) => Value;

const asIs = (value: string | number | boolean): Value => String(value);
const mib = (kib: number): Value => String(kib / KIB_PER_MIB);
const count = (list: readonly unknown[]): Value => String(list.length);
const flag = (value: string | boolean): Value =>
  String(value) === 'True' || value === true ? '1' : '0';
const action = (name: string): Value => name.replaceAll('_', '-');
/** Devices that can only be refused: it matters whether there are any. */
const some = (list: readonly unknown[]): Value => list.map((item) => JSON.stringify(item));

// biome-ignore format: one row per field
const FIELDS: readonly (readonly [path: string, key: string, read: Read])[] = [
  ['c_info.type',                 'type',                asIs],
  ['c_info.name',                 'name',                asIs],
  ['c_info.uuid',                 'uuid',                asIs],
  ['c_info.ssid_label',           'seclabel',            asIs],
  ['c_info.pool_name',            'pool',                asIs],
  ['c_info.driver_domain',        'driver_domain',       flag],
  ['c_info.passthrough',          'passthrough',         asIs],
  ['b_info.max_vcpus',            'maxvcpus',            asIs],
  ['b_info.avail_vcpus',          'vcpus',               count],
  ['b_info.max_memkb',            'maxmem',              mib],
  ['b_info.target_memkb',         'memory',              mib],
  ['b_info.sched_params.weight',  'cpu_weight',          asIs],
  ['b_info.sched_params.cap',     'cap',                 asIs],
  ['b_info.kernel',               'kernel',              asIs],
  ['b_info.ramdisk',              'ramdisk',             asIs],
  ['b_info.cmdline',              'cmdline',             asIs],
  ['b_info.bootloader',           'bootloader',          asIs],
  ['b_info.max_grant_frames',     'max_grant_frames',    asIs],
  ['b_info.max_maptrack_frames',  'max_maptrack_frames', asIs],
  ['b_info.event_channels',       'max_event_channels',  asIs],
  ['b_info.tsc_mode',             'tsc_mode',            asIs],
  ['b_info.localtime',            'localtime',           flag],
  ['b_info.disable_migrate',      'nomigrate',           flag],
  ['disks',                       'disk',                (list: readonly Json[]) => list.map(diskSpec)],
  ['nics',                        'vif',                 (list: readonly Json[]) => list.map(vifSpec)],
  ['vfbs',                        'vfb',                 some],
  ['vkbs',                        'vkb',                 some],
  ['pcidevs',                     'pci',                 some],
  ['usbctrls',                    'usbctrl',             some],
  ['usbdevs',                     'usbdev',              some],
  ['dtdevs',                      'dtdev',               some],
  ['vtpms',                       'vtpm',                some],
  ['p9s',                         'p9',                  some],
  ['pvcallsifs',                  'pvcalls',             some],
  ['vdispls',                     'vdispl',              some],
  ['vsnds',                       'vsnd',                some],
  ['channels',                    'channel',             some],
  ['on_poweroff',                 'on_poweroff',         action],
  ['on_reboot',                   'on_reboot',           action],
  ['on_watchdog',                 'on_watchdog',         action],
  ['on_crash',                    'on_crash',            action],
  ['on_soft_reset',               'on_soft_reset',       action],
];

/** Says nothing about the machine: what libxl keeps for itself, and what it works out. */
const SILENT =
  /^(c_info\.(run_hotplug_scripts|hap|oos)|b_info\.(sched_params\.sched|shadow_memkb|type\.pv|claim_mode|device_model_.*|video_memkb|nodemap|cpumap|vcpu_(hard|soft)_affinity|max_grant_version|arch_.*|altp2m|vpmu|extra.*|numa_placement|iommu_memkb|exec_ssidref))(\.|$)/;

/** @returns undefined if the text is no JSON. @throws UserError if it is JSON of something else. */
export function parseLibxlJson(
  text: string,
  source: string,
  warn: (text: string) => void,
): Settings | undefined {
  if (!/^\s*[[{]/.test(text)) return undefined;
  const config = configIn(parseJson(text, source), source);
  const settings = new Map<string, Setting>();
  for (const [path, value] of flattened(config, '')) {
    const row = FIELDS.find(([name]) => name === path);
    const where = `${source}: ${path}`;
    if (row !== undefined) settings.set(row[1], { value: row[2](value as never), where });
    else if (!SILENT.test(path)) warn(`${where} is ignored`);
  }
  return settings;
}

function parseJson(text: string, source: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new UserError(`${source}: ${error instanceof Error ? error.message : error}`);
  }
}

/** `[{domid, config}]`, `{domid, config}` or the configuration itself. */
function configIn(value: unknown, source: string): Json {
  const [first, ...others] = Array.isArray(value) ? (value as unknown[]) : [value];
  const outer = Json.safeParse(first).data;
  const config = Json.safeParse(outer?.['config'] ?? outer).data;
  if (others.length > 0) throw new UserError(`${source}: one domain, not ${others.length + 1}`);
  if (config === undefined || !('c_info' in config)) {
    throw new UserError(`${source}: no configuration of libxl: it has no c_info`);
  }
  return config;
}

/** Each value with its path; a list is a value, and so is an object that is no part of a row's path. */
function* flattened(object: Json, prefix: string): Generator<readonly [string, unknown]> {
  for (const [name, value] of Object.entries(object)) {
    const path = `${prefix}${name}`;
    const nested = Array.isArray(value) ? undefined : Json.safeParse(value).data;
    if (nested === undefined) yield [path, value];
    else if (SILENT.test(path)) continue;
    else yield* flattened(nested, `${path}.`);
  }
}

function diskSpec(disk: Json): string {
  const { vdev, format, readwrite, is_cdrom, script, backend_domname, pdev_path } = disk;
  const isWritable = Number(readwrite ?? 0) !== 0;
  const words = [
    `vdev=${vdev}`,
    format !== undefined && `format=${format}`,
    `access=${isWritable ? 'rw' : 'ro'}`,
    Number(is_cdrom ?? 0) !== 0 && 'cdrom',
    script !== undefined && `script=${script}`,
    backend_domname !== undefined && `backend=${backend_domname}`,
    disk['discard_enable'] === 'False' && 'no-discard',
    `target=${pdev_path ?? ''}`,
  ];
  return words.filter((word) => word !== false).join(',');
}

const MICROSECONDS = 1_000_000;

function vifSpec(nic: Json): string {
  const { mac, bridge, ip, mtu, backend_domname } = nic;
  const bytes = Number(nic['rate_bytes_per_interval'] ?? 0);
  const interval = Number(nic['rate_interval_usecs'] ?? 0);
  const words = Object.entries({ mac, bridge, ip, mtu, backend: backend_domname })
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => `${key}=${value}`);
  if (bytes > 0 && interval > 0) {
    words.push(`rate=${Math.round((bytes * MICROSECONDS) / interval)}B/s@${interval}us`);
  }
  return words.join(',');
}

/** As `xl list -l` prints it. */
export function libxlJson(domain: Domain): object {
  const { domid, name, uuid, vcpus, memory, weight, cap, kernel, ramdisk, cmdline } = domain;
  return {
    domid,
    config: {
      c_info: { type: 'pv', name, uuid },
      b_info: {
        max_vcpus: vcpus.max,
        avail_vcpus: Array.from({ length: vcpus.online }, (_, cpu) => cpu),
        max_memkb: memory.staticMaxPages * KIB_PER_PAGE,
        target_memkb: memory.targetPages * KIB_PER_PAGE,
        sched_params: { weight, cap },
        kernel,
        cmdline,
        ...(ramdisk !== undefined && { ramdisk }),
        'type.pv': {},
      },
      disks: domain.disks.map((disk) => ({
        pdev_path: disk.path,
        vdev: disk.vdev,
        format: 'raw',
        readwrite: disk.access === 'rw' ? 1 : 0,
        is_cdrom: disk.cdrom ? 1 : 0,
      })),
      nics: domain.vifs.map(({ devid, mac, bridge }) => ({ devid, mac, bridge })),
      ...actions(domain),
    },
  };
}

const actions = ({ policies }: Domain): Record<string, string> =>
  Object.fromEntries(
    Object.entries(policies).map(([when, what]) => [
      `on_${when.replace('softReset', 'soft_reset')}`,
      what.replaceAll('-', '_'),
    ]),
  );
