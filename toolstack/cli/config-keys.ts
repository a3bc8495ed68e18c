/**
 * Each key that xl.cfg(5) documents, and what it does here: it is honoured, has no effect and is said, or is refused with the reason.
 * What would make another machine than the one asked for is refused; what only tunes it, or is for HVM domains and so would do
 * nothing to a PV domain of Xen either, is said. Spec: xl.cfg(5).
 */

import {
  commandLine,
  disks,
  firmware,
  ignored,
  only,
  policy,
  refused,
  type Setter,
  text,
  vifs,
  whole,
} from './config-setters.js';

const HARDWARE = refused('there is no such hardware');
const BACKEND = refused('there is no backend for it');
const HVM = ignored('it is for HVM domains, and this is a PV one');
const SCREEN = ignored('there is no screen: the console is text');
const MODEL = ignored('there is no device model, and a PV domain needs none');
const PASSED = ignored('no hardware is passed through');
const ARM = ignored('it is for Arm');
const LABELS = ignored('there are no security labels');
const PVH = refused('there is no PVH, only PV');
const CLOCK = ignored("the clock is the host's, in UTC");
const LOADER = refused(
  'use firmware="pvgrub64", which runs GRUB in the domain, or kernel and ramdisk',
);

// biome-ignore format: one row per key
export const KEYS: Readonly<Record<string, Setter>> = {
  name:                text('name'),
  type:                only(['pv'], 'this host has no HVM and no PVH'),
  builder:             only(['generic', 'linux'], 'this host has no HVM'),

  // CPUs
  pool:                ignored('there is one pool of CPUs', 'Pool-0'),
  vcpus:               whole('vcpus'),
  maxvcpus:            whole('maxVcpus'),
  cpus:                ignored('vCPUs are not pinned', 'all'),
  cpus_soft:           ignored('vCPUs are not pinned', 'all'),
  cpu_weight:          whole('weight'),
  cap:                 whole('cap'),

  // memory
  memory:              whole('memory'),
  maxmem:              whole('maxMemory'),
  vnuma:               refused('there is no NUMA for PV domains'),

  // what becomes of it
  on_poweroff:         policy('onPoweroff'),
  on_reboot:           policy('onReboot'),
  on_watchdog:         policy('onWatchdog'),
  on_crash:            policy('onCrash'),
  on_soft_reset:       policy('onSoftReset', 'soft-reset'),

  // booting
  kernel:              text('kernel'),
  ramdisk:             text('ramdisk'),
  cmdline:             commandLine,
  root:                commandLine,
  extra:               commandLine,
  firmware:            firmware,
  bootloader:          LOADER,
  bootloader_args:     ignored('there is no boot loader outside the domain'),
  bootargs:            ignored('there is no boot loader outside the domain'),
  pvshim:              PVH,
  pvshim_path:         ignored('it is for pvshim'),
  pvshim_cmdline:      ignored('it is for pvshim'),
  pvshim_extra:        ignored('it is for pvshim'),

  // other options
  uuid:                text('uuid'),
  seclabel:            LABELS,
  init_seclabel:       LABELS,
  max_grant_frames:    whole('maxGrantFrames'),
  max_maptrack_frames: whole('maxMaptrackFrames'),
  max_grant_version:   ignored('the domain chooses the version', '2'),
  max_event_channels:  whole('maxEventChannels'),
  nomigrate:           ignored('no domain is migrated', '1'),
  driver_domain:       refused('all backends are in domain 0'),
  device_tree:         ARM,
  passthrough:         only(['disabled', 'default', '0'], 'no hardware is passed through'),
  vmtrace_buf_kb:      ignored('there is no processor trace; see xl trace'),
  vpmu:                ignored('there are no performance counters'),
  xend_suspend_evtchn_compat: ignored('domains are suspended by their control node'),

  // devices
  disk:                disks,
  vif:                 vifs,
  vtpm:                BACKEND,
  p9:                  BACKEND,
  pvcalls:             BACKEND,
  channel:             BACKEND,
  vdispl:              BACKEND,
  vsnd:                BACKEND,
  vkb:                 ignored('there is no screen: the console is text'),
  vfb:                 SCREEN,
  tee:                 only(['none'], 'there is none'),
  rdm:                 PASSED,
  rdm_mem_boundary:    PASSED,
  usbctrl:             HARDWARE,
  usbdev:              HARDWARE,
  pci:                 HARDWARE,
  dtdev:               HARDWARE,
  ioports:             HARDWARE,
  iomem:               HARDWARE,
  irqs:                HARDWARE,
  gfx_passthru:        HARDWARE,
  pci_permissive:      PASSED,
  pci_msitranslate:    PASSED,
  pci_seize:           PASSED,
  pci_power_mgmt:      PASSED,
  e820_host:           refused('memory is laid out by the service, and there is no such hardware'),

  // time, processor
  tsc_mode:            ignored('the time-stamp counter is always emulated', 'default', 'always_emulate', '1'),
  localtime:           CLOCK,
  rtc_timeoffset:      CLOCK,
  vpt_align:           HVM,
  timer_mode:          HVM,
  cpuid:               ignored('all domains have the same processor'),
  mca_caps:            HVM,
  msr_relaxed:         ignored('all domains have the same processor'),

  // display
  vnc:                 SCREEN,
  vnclisten:           SCREEN,
  vncdisplay:          SCREEN,
  vncunused:           SCREEN,
  vncpasswd:           SCREEN,
  keymap:              SCREEN,
  sdl:                 SCREEN,
  opengl:              SCREEN,
  nographic:           ignored('there is no screen anyway', '1'),

  // HVM
  boot:                HVM,
  hdtype:              HVM,
  hap:                 HVM,
  oos:                 HVM,
  shadow_memory:       HVM,
  bios:                HVM,
  bios_path_override:  HVM,
  pae:                 HVM,
  acpi:                HVM,
  acpi_s3:             HVM,
  acpi_s4:             HVM,
  acpi_laptop_slate:   HVM,
  acpi_firmware:       HVM,
  smbios_firmware:     HVM,
  apic:                HVM,
  nx:                  HVM,
  hpet:                HVM,
  altp2m:              HVM,
  altp2mhvm:           HVM,
  nestedhvm:           HVM,
  ms_vm_genid:         HVM,
  mmio_hole:           HVM,
  xen_platform_pci:    HVM,
  viridian:            HVM,
  videoram:            HVM,
  stdvga:              HVM,
  vga:                 HVM,
  spice:               HVM,
  spicehost:           HVM,
  spiceport:           HVM,
  spicetls_port:       HVM,
  spicedisable_ticketing: HVM,
  spicepasswd:         HVM,
  spiceagent_mouse:    HVM,
  spicevdagent:        HVM,
  spice_clipboard_sharing: HVM,
  spiceusbredirection: HVM,
  spice_image_compression: HVM,
  spice_streaming_video: HVM,
  serial:              HVM,
  soundhw:             HVM,
  vkb_device:          HVM,
  usb:                 HVM,
  usbversion:          HVM,
  usbdevice:           HVM,
  vendor_device:       HVM,

  // device model
  dm_restrict:         MODEL,
  device_model_user:   MODEL,
  device_model_version: MODEL,
  device_model_override: MODEL,
  device_model_args:   MODEL,
  device_model_args_pv: MODEL,
  device_model_args_hvm: MODEL,
  device_model_stubdomain_override: MODEL,
  device_model_stubdomain_seclabel: MODEL,
  stubdomain_kernel:   MODEL,
  stubdomain_cmdline:  MODEL,
  stubdomain_ramdisk:  MODEL,
  stubdomain_memory:   MODEL,

  // other processors
  gic_version:         ARM,
  vuart:               ARM,
};
