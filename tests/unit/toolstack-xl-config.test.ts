/** xl's configuration files: what is read, what is refused by name, what is said and left out. */

import { describe, expect, test } from 'vitest';
import { UserError } from '../../toolstack/cli/client.js';
import { requestOf } from '../../toolstack/cli/config.js';
import { applyArguments, parseConfig } from '../../toolstack/cli/config-text.js';
import { parseDisk, parseVif } from '../../toolstack/cli/device-specs.js';
import { parseLibxlJson } from '../../toolstack/cli/libxl-json.js';

const FILE = `
# a small guest
name = "web"; type = 'pv'
kernel = "mini-os.gz"      # compressed
memory = 64
maxmem = 128
vcpus=2
maxvcpus = 4
root = "/dev/xvda1"
extra = "console=hvc0 \\"quoted\\""
on_crash = 'preserve'
cpu_weight = 0x200
max_grant_frames = 32
cpus = "all"
disk = [
  'web.img,raw,xvda,rw',   # the system
  "format=raw, vdev=xvdb, access=ro, target=/data/with,comma.img",
]
vif = [ 'mac=00:16:3e:01:02:03,bridge=xenbr0,rate=10Mb/s', '' ]
`;

const parse = (text: string, ...words: string[]) => {
  const warnings: string[] = [];
  const settings = applyArguments(parseConfig(text, 'x.cfg'), words);
  const request = requestOf(settings, (warning) => warnings.push(warning));
  return { request, warnings };
};
const MINIMAL = 'name = "n"\nkernel = "k"\n';

describe('a configuration file', () => {
  test('becomes the request that creates the domain', () => {
    expect(parse(FILE)).toEqual({
      request: {
        name: 'web',
        kernel: 'mini-os.gz',
        memory: 64,
        maxMemory: 128,
        vcpus: 2,
        maxVcpus: 4,
        cmdline: 'root=/dev/xvda1 console=hvc0 "quoted"',
        onCrash: 'preserve',
        weight: 512,
        maxGrantFrames: 32,
        disks: [
          { vdev: 'xvda', target: 'web.img', access: 'rw' },
          { vdev: 'xvdb', target: '/data/with,comma.img', access: 'ro' },
        ],
        vifs: [{ mac: '00:16:3e:01:02:03', bridge: 'xenbr0', rate: '10Mb/s' }, {}],
      },
      warnings: [],
    });
  });

  test('is overruled by key=value arguments, in which what is no literal is a string', () => {
    const { request } = parse(
      FILE,
      'name=other',
      'memory=8',
      'extra=init=/bin/sh',
      "disk=['a,,xvda']",
    );
    expect(request).toMatchObject({
      name: 'other',
      memory: 8,
      kernel: 'mini-os.gz',
      cmdline: 'root=/dev/xvda1 init=/bin/sh',
      disks: [{ vdev: 'xvda', target: 'a' }],
    });
  });

  // biome-ignore format: one row per refusal
  test.each([
    ['pci = ["00:1f.0"]',      '"pci" is not possible here: there is no such hardware'],
    ['type = "hvm"',           'type: only "pv" is possible'],
    ['builder = "hvm"',        'builder: only "generic" and "linux" is possible'],
    ['bootloader = "pygrub"',  'use firmware="pvgrub64"'],
    ['firmware = "uefi"',      'only "pvgrub64" is possible'],
    ['firmware = "pvgrub64"',  'firmware and kernel exclude each other'],
    ['name = unquoted',        'x.cfg:3: expected key = "string", number or [ list ]'],
    ['memory = "lots"',        'memory must be a number, not "lots"'],
    ['name = "a',              'x.cfg:3: expected key'],
    ['import os',              'x.cfg:3: expected key'],
    ['memory = 6 4',           'x.cfg:3: expected key'],
    ['disk = [ "a,,xvda" ',    'x.cfg:3: expected key'],
    ['disk = [ xvda ]',        'x.cfg:3: expected key'],
    ['disk = "a,,xvda"',       'disk is a list'],
    ['disk = [ "a" ]',         'disk "a": it has no vdev'],
    ['disk = [ "a,qcow2,xvda" ]', 'format qcow2 is not possible'],
    ['disk = [ "a,,xvda,x" ]', 'access x is neither ro nor rw'],
    ['disk = [ "a,,xvda,r,x" ]', '"x" is one too many'],
    ['disk = [ "a,,xvda,color=red" ]', '"color" is not possible here'],
    ['vif = [ "mac" ]',        'vif "mac": "mac" is not possible here'],
    ['vif = [ "backend=net" ]', '"backend" is not possible here'],
    ['disk = [ "a,,xvda,script=drbd" ]', 'script drbd is not possible'],
    ['disk = [ "iscsi:a,xvda,w" ]', 'script block-iscsi is not possible'],
    ['disk = [ "tap:qcow2:a,xvda,w" ]', 'format qcow2 is not possible'],
    ['disk = [ "a,,xvda,backend=storage" ]', 'all backends are in domain 0'],
    ['disk = [ "a,,xvda,specification=virtio" ]', 'only xen'],
    ['disk = [ ",hdc:cdrom,r" ]', 'an empty drive is not possible'],
    ['disk = [ "vdev=hdc,cdrom" ]', 'an empty drive is not possible'],
    ['disk = [ "a,raw,xvda,rw,vdev=xvdb" ]', 'vdev is set twice'],
    ['disk = [ 5, ["a"] ]',    'disk is a list of strings'],
    ['vcpus = [ "1" ]',        'vcpus is a "string", not a list'],
    ['e820_host = 1',          '"e820_host" is not possible here'],
    ['pvshim = 1',             'there is no PVH'],
    ['p9 = [ "tag=x" ]',       '"p9" is not possible here: there is no backend for it'],
    ['passthrough = "enabled"', 'only "disabled" and "default" and "0" is possible'],
    ['extra = "\\q"',         'x.cfg:3: \\q is no escape'],
    ['vcpus = 1\nvcpus += [1]', 'x.cfg:4: += adds a list to a list'],
    ['on_crash = "explode"',   'x.cfg:3: on_crash: "explode" is none of destroy, restart, '],
  ])('with the line %s is refused', (line, message) => {
    expect(() => parse(`${MINIMAL}${line}`)).toThrow(UserError);
    expect(() => parse(`${MINIMAL}${line}`)).toThrow(message);
  });

  // biome-ignore format: one row per policy
  test.each([
    ['on_poweroff = "preserve"',           { onPoweroff: 'preserve' }],
    ['on_reboot = "rename-restart"',       { onReboot: 'rename-restart' }],
    ['on_crash = "coredump-destroy"',      { onCrash: 'coredump-destroy' }],
    ['on_watchdog = "coredump-restart"',   { onWatchdog: 'coredump-restart' }],
    ['on_soft_reset = "destroy"',          { onSoftReset: 'destroy' }],
    ['on_soft_reset = "soft-reset"',       {}],
  ])('the policy %s is taken as it is', (line, policy) => {
    expect(parse(`${MINIMAL}${line}`)).toEqual({
      request: { name: 'n', kernel: 'k', ...policy },
      warnings: [],
    });
  });

  // biome-ignore format: one row per warning
  test.each([
    ['frobnicate = 1',                       'x.cfg:3: unknown key "frobnicate" is ignored'],
    ['toString = "x"',                       'x.cfg:3: unknown key "toString" is ignored'],
    ['vfb = [ "vnc=1" ]',                    'x.cfg:3: vfb has no effect: there is no screen: the console is text'],
    ['vif = [ "script=vif-bridge" ]',        'vif "script=vif-bridge": script is not used'],
    ['cpus = "0-3,5,^1"',                    'x.cfg:3: cpus has no effect: vCPUs are not pinned'],
    ['hap = 1',                              'x.cfg:3: hap has no effect: it is for HVM domains, and this is a PV one'],
    ['tsc_mode = "native"',                  'x.cfg:3: tsc_mode has no effect: the time-stamp counter is always emulated'],
    ['disk = [ "a,,xvda,untrusted" ]',       'disk "a,,xvda,untrusted": untrusted is not passed on'],
    ['cmdline="a"\nextra="b"',               'x.cfg:4: extra is ignored, as there is cmdline'],
  ])('with the line %s is taken, and that said', (line, warning) => {
    expect(parse(`${MINIMAL}${line}`).warnings).toEqual([warning]);
  });

  test.each([
    ['kernel="k"', 'name'],
    ['name="n"', 'kernel'],
  ])('%s alone lacks a %s', (text, key) => {
    expect(() => parse(text)).toThrow(`the domain needs a ${key}`);
  });
});

describe('a disk', () => {
  // biome-ignore format: one row per form
  test.each([
    ['/a.img,raw,xvda,rw',                      { target: '/a.img', vdev: 'xvda', access: 'rw' }],
    ['/a.img,,xvda',                            { target: '/a.img', vdev: 'xvda' }],
    ['/a.img, raw, xvda, w',                    { target: '/a.img', vdev: 'xvda', access: 'rw' }],
    ['file:/a.img,xvda,r',                      { target: '/a.img', vdev: 'xvda', access: 'ro' }],
    ['phy:/dev/vg/lv,hda,w',                    { target: '/dev/vg/lv', vdev: 'hda', access: 'rw' }],
    ['vdev=xvda,access=ro,target=/a,b=c',       { target: '/a,b=c', vdev: 'xvda', access: 'ro' }],
    ['/a.iso,,hdc,devtype=cdrom',               { target: '/a.iso', vdev: 'hdc', access: 'ro', cdrom: true }],
    ['/a.iso,,hdc,cdrom',                       { target: '/a.iso', vdev: 'hdc', access: 'ro', cdrom: true }],
    ['file:/a.iso,hdc:cdrom,r',                 { target: '/a.iso', vdev: 'hdc', access: 'ro', cdrom: true }],
    ['/a.img,,xvda,w,no-discard,direct-io-safe', { target: '/a.img', vdev: 'xvda', access: 'rw', discard: false }],
    ['/a.img,,xvda,w,backendtype=qdisk',        { target: '/a.img', vdev: 'xvda', access: 'rw' }],
    ['/a.img,,xvda,overlay=',                   { target: '/a.img', vdev: 'xvda', overlay: true }],
    ['/a.img,,xvda,overlay=work',               { target: '/a.img', vdev: 'xvda', overlay: 'work' }],
  ])('%s', (spec, disk) => {
    expect(parseDisk(spec, () => undefined)).toEqual(disk);
  });
});

describe('a network interface', () => {
  // biome-ignore format: one row per form
  test.each([
    ['',                                           {}],
    ['mac=00:16:3e:00:00:01',                      { mac: '00:16:3e:00:00:01' }],
    ['bridge=lan, ip=10.0.2.20, rate=1MB/s@20ms',  { bridge: 'lan', ip: '10.0.2.20', rate: '1MB/s@20ms' }],
    ['mtu=9000,type=vif,model=e1000',              { mtu: 9000 }],
  ])('%s', (spec, vif) => {
    expect(parseVif(spec, () => undefined)).toEqual(vif);
  });
});

describe("libxl's JSON", () => {
  const config = {
    c_info: {
      type: 'pv',
      name: 'web',
      uuid: '59e1cf6c-6ab9-4879-90e7-adc8d1c63bf5',
      run_hotplug_scripts: 'True',
    },
    b_info: {
      max_vcpus: 4,
      avail_vcpus: [0, 1],
      max_memkb: 131072,
      target_memkb: 65536,
      sched_params: { weight: 512, cap: 50 },
      kernel: '/boot/vmlinuz',
      ramdisk: '/boot/initrd.gz',
      cmdline: 'root=/dev/xvda1',
      'type.pv': {},
    },
    disks: [{ pdev_path: '/a,b.img', vdev: 'xvda', format: 'raw', readwrite: 1 }],
    nics: [
      {
        devid: 0,
        mac: '00:16:3e:01:02:03',
        bridge: 'xenbr0',
        rate_bytes_per_interval: 20000,
        rate_interval_usecs: 20000,
      },
    ],
    on_crash: 'rename_restart',
  };
  const read = (value: unknown) => {
    const warnings: string[] = [];
    const warn = (text: string): void => void warnings.push(text);
    const settings = parseLibxlJson(JSON.stringify(value), 'x.json', warn);
    return { request: requestOf(settings ?? new Map(), warn), warnings };
  };

  test.each([
    ['the list of xl list -l', [{ domid: 3, config }]],
    ['one domain of it', { domid: 3, config }],
    ['a configuration alone', config],
  ])('%s becomes the request that creates the domain', (_name, value) => {
    expect(read(value)).toEqual({
      request: {
        name: 'web',
        uuid: '59e1cf6c-6ab9-4879-90e7-adc8d1c63bf5',
        maxVcpus: 4,
        vcpus: 2,
        maxMemory: 128,
        memory: 64,
        weight: 512,
        cap: 50,
        kernel: '/boot/vmlinuz',
        ramdisk: '/boot/initrd.gz',
        cmdline: 'root=/dev/xvda1',
        disks: [{ vdev: 'xvda', target: '/a,b.img', access: 'rw' }],
        vifs: [{ mac: '00:16:3e:01:02:03', bridge: 'xenbr0', rate: '1000000B/s@20000us' }],
        onCrash: 'rename-restart',
      },
      warnings: [],
    });
  });

  test('says what it leaves out, and refuses what is for other machines', () => {
    const other = { ...config, b_info: { ...config.b_info, pvh_magic: 1 } };
    expect(read(other).warnings).toEqual(['x.json: b_info.pvh_magic is ignored']);
    expect(() => read({ ...config, c_info: { type: 'hvm', name: 'w' } })).toThrow('no HVM');
    expect(() => read({ ...config, pcidevs: [{ dev: 1 }] })).toThrow('"pci" is not possible here');
    expect(() => read([config, config])).toThrow('one domain, not 2');
    expect(() => read({ a: 1 })).toThrow('it has no c_info');
  });
});
