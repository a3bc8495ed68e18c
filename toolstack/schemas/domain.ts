/** The domain resource: what it is created from, what can be read of it. */

import { z } from 'zod';
import { DiskConfig, DomainDisk } from './disk.js';
import { DomainVif, VifConfig } from './vif.js';

const PAGES_PER_MIB = 256;

export const DOMAIN_STATES = [
  'running',
  'blocked',
  'paused',
  'shutdown',
  'dying',
  'ended',
] as const;

export const SHUTDOWN_REASONS = [
  'poweroff',
  'reboot',
  'suspend',
  'crash',
  'watchdog',
  'soft_reset',
] as const;
export type ShutdownReason = (typeof SHUTDOWN_REASONS)[number];

export const POLICIES = [
  'destroy',
  'restart',
  'rename-restart',
  'preserve',
  'coredump-destroy',
  'coredump-restart',
] as const;
export type Policy = (typeof POLICIES)[number];

const policy = (fallback: Policy, when: string) =>
  z.enum(POLICIES).default(fallback).describe(`What becomes of the domain when it ${when}.`);

const DomainName = z
  .string()
  .min(1)
  .max(64)
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9_.+-]*$/,
    'letters, digits and _ . + - only, the first a letter or digit',
  )
  .regex(/\D/, 'must not be a number: it would be taken for a domid')
  .describe('Unique among the domains that exist.');

const ImageName = z
  .string()
  .min(1)
  .max(255)
  .describe(
    'An image: a path below the image directory or the name of an uploaded one; ".elf" may be left out.',
  );

/** Characters a start_info's command line holds, its NUL not counted. */
const CMDLINE_MAX = 1023;

/** Devices of each kind that a domain can be created with. */
const MOST_DEVICES = 32;

/** zod's own multipleOf takes 1e-100 for a multiple of everything. */
const Mib = z
  .number()
  .min(1 / PAGES_PER_MIB)
  .max(3840)
  .refine(
    (mib) => Number.isInteger(mib * PAGES_PER_MIB),
    'a whole number of 4 KiB pages, that is a multiple of 1/256',
  )
  .meta({ multipleOf: 1 / PAGES_PER_MIB });
const Vcpus = z.int().min(1).max(128);
const Weight = z.int().min(1).max(65535);
const Cap = z.int().min(0).max(3200);

export const DomainCreate = z
  .strictObject({
    name: DomainName,
    uuid: z.uuid().optional().describe('The handle of the domain; a random one if left out.'),
    kernel: ImageName.describe('The kernel: an ELF image for Xen PV, gzip-compressed or not.'),
    ramdisk: ImageName.optional().describe('An initial RAM disk, handed to the kernel as it is.'),
    cmdline: z.string().max(CMDLINE_MAX).default('').describe("The kernel's command line."),
    memory: Mib.default(32).describe('Memory in MiB; fractions down to a page of 1/256 MiB.'),
    maxMemory: Mib.optional().describe('Memory that it may grow to, in MiB; at least `memory`.'),
    vcpus: Vcpus.default(1).describe('vCPUs online at the start.'),
    maxVcpus: Vcpus.optional().describe('vCPUs the domain may bring up; at least vcpus.'),
    weight: Weight.default(256).describe('Share of CPU time relative to others.'),
    cap: Cap.default(0).describe('Limit in per cent of a CPU; 0 is none.'),
    maxGrantFrames: z.int().min(1).max(1024).optional().describe('Pages of its grant table.'),
    maxMaptrackFrames: z.int().min(1).max(4096).optional().describe('Pages for grants it maps.'),
    maxEventChannels: z.int().min(1).max(131_071).optional().describe('Its highest port.'),
    disks: z.array(DiskConfig).max(MOST_DEVICES).default([]).describe('Its disks.'),
    vifs: z.array(VifConfig).max(MOST_DEVICES).default([]).describe('Its network interfaces.'),
    paused: z.boolean().default(false).describe('Leave it paused after it has been built.'),
    onPoweroff: policy('destroy', 'powers off'),
    onReboot: policy('restart', 'reboots'),
    onCrash: policy('destroy', 'crashes'),
    onWatchdog: policy('destroy', 'is shut down by its watchdog'),
    onSoftReset: policy('preserve', 'asks for a soft reset, which is not carried out'),
  })
  .refine((config) => config.maxVcpus === undefined || config.maxVcpus >= config.vcpus, {
    path: ['maxVcpus'],
    message: 'must not be less than vcpus',
  })
  .refine((config) => config.maxMemory === undefined || config.maxMemory >= config.memory, {
    path: ['maxMemory'],
    message: 'must not be less than memory',
  })
  .superRefine(({ disks }, context) => {
    for (const [n, { vdev }] of disks.entries()) {
      if (disks.findIndex((other) => other.vdev === vdev) === n) continue;
      context.addIssue({
        code: 'custom',
        path: ['disks', n, 'vdev'],
        message: `another disk is ${vdev}`,
      });
    }
  })
  .meta({ id: 'DomainCreate', description: 'A domain to be created.' });
/** As the caller writes it: what has a default may be missing. */
export type DomainCreateInput = z.input<typeof DomainCreate>;
export type DomainCreate = z.output<typeof DomainCreate>;

export const Domain = z
  .strictObject({
    domid: z.int().describe('Number of the domain; a new one after each reboot.'),
    uuid: z.string().describe('Handle of the domain; the same after a reboot.'),
    name: z.string(),
    state: z
      .enum(DOMAIN_STATES)
      .describe('"ended" means destroyed: what is shown is what is remembered of it.'),
    shutdownReason: z.enum(SHUTDOWN_REASONS).optional().describe('Why it stopped, once it has.'),
    detail: z.string().optional().describe('What went wrong, in words: the reason of a crash.'),
    memory: z
      .strictObject({
        pages: z.int().describe('4 KiB pages the domain holds now.'),
        maxPages: z.int().describe('Pages it may hold.'),
        targetPages: z.int().describe('Pages it is asked to hold.'),
        staticMaxPages: z.int().describe('Pages it was created to grow to.'),
      })
      .describe('Memory in pages.'),
    vcpus: z.strictObject({
      online: z.int(),
      max: z.int(),
      list: z
        .array(
          z.strictObject({
            id: z.int(),
            state: z.enum(['running', 'runnable', 'blocked', 'offline']),
            cpuSeconds: z.number(),
          }),
        )
        .describe('Each of them, by number.'),
    }),
    weight: z.int(),
    cap: z.int(),
    cpuSeconds: z.number().describe('CPU time used by all of its vCPUs.'),
    kernel: z.string(),
    ramdisk: z.string().optional(),
    cmdline: z.string(),
    policies: z
      .strictObject({
        poweroff: z.enum(POLICIES),
        reboot: z.enum(POLICIES),
        crash: z.enum(POLICIES),
        watchdog: z.enum(POLICIES),
        softReset: z.enum(POLICIES),
      })
      .describe('What becomes of it when it stops.'),
    disks: z.array(DomainDisk),
    vifs: z.array(DomainVif),
    createdAt: z.iso.datetime(),
    endedAt: z.iso.datetime().optional(),
    exitCode: z
      .int()
      .optional()
      .describe(
        'Of one that has stopped: 0 if its kernel wanted to (poweroff, reboot, suspend, soft_reset), 3 if it crashed or its watchdog bit, as `xl run` exits.',
      ),
    lastOutput: z
      .array(z.string())
      .max(20)
      .optional()
      .describe('Of one that has stopped or ended: the last lines of its console.'),
    console: z
      .string()
      .describe('Path of its console: GET for the history, WebSocket for the terminal.'),
  })
  .meta({ id: 'Domain', description: 'A domain.' });
export type Domain = z.infer<typeof Domain>;

export const DomainList = z
  .strictObject({
    domains: z.array(Domain),
    next: z.string().optional().describe('The cursor of the next page, if there is one.'),
  })
  .meta({
    id: 'DomainList',
    description: 'Domains by ascending domid. With ?fields, each has those fields alone.',
  });

export const DomainListQuery = z.strictObject({
  ended: z
    .stringbool()
    .default(false)
    .describe('Show the remembered ones that have ended as well.'),
  filter: z
    .union([z.string().max(256), z.array(z.string().max(256)).max(16)])
    .optional()
    .describe(
      'field:operator:value, several times for all of them: "state:eq:running", "memory.pages:ge:1024", "name:prefix:web". Operators: eq ne lt le gt ge prefix contains.',
    ),
  fields: z
    .string()
    .min(1)
    .max(512)
    .optional()
    .describe('Fields of each domain to show, separated by commas.'),
  limit: z.coerce.number().int().min(1).max(1000).optional().describe('Domains in one answer.'),
  cursor: z.string().max(128).optional().describe('Where to go on: `next` of the page before.'),
});
export type DomainListQuery = z.output<typeof DomainListQuery>;

export const DomainId = z.strictObject({
  id: z.string().min(1).max(64).describe('domid, name or uuid.'),
});

export const DomainChange = z
  .strictObject({
    name: DomainName.optional(),
    vcpus: Vcpus.optional().describe('vCPUs that its kernel is asked to have online.'),
    memory: Mib.optional().describe('MiB that its kernel is asked to hold: it has a balloon.'),
    maxMemory: Mib.optional().describe('MiB that it may hold.'),
    weight: Weight.optional(),
    cap: Cap.optional(),
  })
  .refine((change) => Object.values(change).some((value) => value !== undefined), {
    message: 'nothing is to be changed',
  })
  .meta({ id: 'DomainChange', description: 'What is to be different; the rest stays.' });
export type DomainChange = z.infer<typeof DomainChange>;

export const IfMatchHeaders = z.looseObject({
  'if-match': z
    .string()
    .max(1024)
    .optional()
    .describe(
      'The ETag of GET: 412 if the domain has been changed meanwhile. May be left out: then the last one to ask wins.',
    ),
});

export const SysrqRequest = z
  .strictObject({
    key: z
      .string()
      .regex(/^[!-~]$/, 'one printable character')
      .describe('What a Linux kernel does at this key: see its sysrq documentation.'),
  })
  .meta({ id: 'SysrqRequest', description: 'A magic key.' });

export const NmiRequest = z
  .strictObject({ vcpu: z.int().min(0).max(127).default(0).describe('The vCPU that gets it.') })
  .meta({ id: 'NmiRequest', description: 'A non-maskable interrupt.' });

export const ShutdownRequest = z
  .strictObject({
    force: z
      .boolean()
      .default(false)
      .describe('Stop it now, as if it had asked for it, without waiting for its kernel.'),
    timeout: z
      .number()
      .min(0)
      .max(3600)
      .default(60)
      .describe('Seconds to wait until the kernel takes notice of control/shutdown.'),
  })
  .meta({ id: 'ShutdownRequest', description: 'How to ask a domain to stop.' });
export type ShutdownRequest = z.infer<typeof ShutdownRequest>;
