/** Every metric of the service: one row each, and how it is read out of the figures. Names follow Prometheus' conventions. */

import type { DomainInfo, PhysInfo } from '../../hypervisor/public/privcmd.js';
import { DOMAIN_STATES, type Domain } from '../schemas/domain.js';

const NS = 1e9;
const PAGE = 4096;

export interface DomainFigures {
  readonly info: DomainInfo;
  /** undefined for one that is just being built. */
  readonly domain: Domain | undefined;
  /** Hypercalls by name. */
  readonly calls: Readonly<Record<string, number>>;
  readonly missing: Readonly<Record<string, number>>;
  /** Bytes its console has printed. */
  readonly printed: number;
}

export interface Figures {
  readonly host: PhysInfo;
  readonly domains: readonly DomainFigures[];
  /** Number of the last event. */
  readonly events: number;
  readonly store: {
    readonly nodes: number;
    readonly connections: number;
    readonly watches: number;
  };
}

/** Values of the labels, in the row's order, and the sample. */
type Sample = readonly [readonly string[], number];

interface MetricRow {
  readonly kind: 'counter' | 'gauge';
  readonly name: string;
  readonly help: string;
  readonly labels: readonly string[];
  read(figures: Figures): Iterable<Sample>;
}

const DOMAIN = ['domid', 'name'];
const names = ({ info, domain }: DomainFigures): string[] => [
  String(info.domid),
  domain?.name ?? '',
];

/** One sample for the host. */
const host =
  (value: (host: PhysInfo, figures: Figures) => number) =>
  (figures: Figures): Sample[] => [[[], value(figures.host, figures)]];

/** One sample for each domain. */
const each =
  (value: (info: DomainInfo, figures: DomainFigures) => number) =>
  ({ domains }: Figures): Sample[] =>
    domains.map((figures) => [names(figures), value(figures.info, figures)]);

/** Any number of samples for each domain, under further labels. */
const every =
  (samples: (figures: DomainFigures) => Iterable<Sample>) =>
  ({ domains }: Figures): Sample[] =>
    domains.flatMap((figures) =>
      [...samples(figures)].map(
        ([labels, value]): Sample => [[...names(figures), ...labels], value],
      ),
    );

const byName = (counts: Readonly<Record<string, number>>): Sample[] =>
  Object.entries(counts).map(([name, count]) => [[name], count]);

/** The runstates of each vCPU. */
const runstates = ({ info }: DomainFigures): Sample[] =>
  info.vcpus.flatMap(({ id, runstates }) =>
    Object.entries(runstates).map(([state, time]): Sample => [[String(id), state], time / NS]),
  );

const states = ({ domain }: DomainFigures): Sample[] =>
  DOMAIN_STATES.map((state) => [[state], domain?.state === state ? 1 : 0]);

/** Counters of each disk, under the label by which they are told apart. */
const disks = (counters: Readonly<Record<string, string>>) =>
  every(({ domain }) =>
    (domain?.disks ?? []).flatMap((disk) => samplesOf(disk.vdev, disk.counters, counters)),
  );

const vifs = (counters: Readonly<Record<string, string>>) =>
  every(({ domain }) =>
    (domain?.vifs ?? []).flatMap((vif) => samplesOf(String(vif.devid), vif.counters, counters)),
  );

const samplesOf = (
  device: string,
  counted: Readonly<Record<string, number>>,
  wanted: Readonly<Record<string, string>>,
): Sample[] =>
  Object.entries(wanted).map(([label, counter]) => [[device, label], counted[counter] ?? 0]);

const REQUESTS = {
  read: 'readRequests',
  write: 'writeRequests',
  flush: 'flushRequests',
  discard: 'discardRequests',
};
const DISK_BYTES = { read: 'bytesRead', write: 'bytesWritten' };
const DISK_ERRORS = { refused: 'refused', io: 'ioErrors' };
const PACKETS = { tx: 'txPackets', rx: 'rxPackets' };
const VIF_BYTES = { tx: 'txBytes', rx: 'rxBytes' };
const VIF_ERRORS = { tx: 'txErrors', rx: 'rxErrors' };
const VIF_DROPS = { full: 'rxFull', expired: 'rxExpired', filtered: 'rxFiltered' };

const row = (
  kind: MetricRow['kind'],
  name: string,
  labels: readonly string[],
  read: MetricRow['read'],
  help: string,
): MetricRow => ({ kind, name: `xenolith_${name}`, labels, read, help });

// biome-ignore format: one row per metric
export const METRICS: readonly MetricRow[] = [
  row('gauge',   'host_uptime_seconds',               [],                              host((h) => h.uptime / NS),                     'Time since the hypervisor started.'),
  row('gauge',   'host_memory_bytes',                 [],                              host((h) => h.totalFrames * PAGE),              'Memory for guests.'),
  row('gauge',   'host_memory_free_bytes',            [],                              host((h) => h.freeFrames * PAGE),               'Memory that domains can have.'),
  row('gauge',   'host_memory_shared_bytes',          [],                              host((h) => h.sharedFrames * PAGE),             'Memory saved as domains share pages of their images.'),
  row('counter', 'host_instructions_total',           [],                              host((h) => h.retired),                         'Guest instructions retired.'),
  row('counter', 'host_idle_seconds_total',           [],                              host((h) => h.idleTime / NS),                   'Time in which no vCPU wanted to run.'),
  row('counter', 'host_faults_total',                 [],                              host((h) => h.bugs),                            'Exceptions that escaped in the hypervisor: bugs.'),
  row('gauge',   'domains',                           [],                              host((_, { domains }) => domains.length),       'Domains that exist, domain 0 not counted.'),
  row('counter', 'events_total',                      [],                              host((_, { events }) => events),                'Number of the last event of the event stream.'),
  row('gauge',   'xenstore_nodes',                    [],                              host((_, { store }) => store.nodes),            'Nodes of XenStore.'),
  row('gauge',   'xenstore_connections',              [],                              host((_, { store }) => store.connections),      'Clients of XenStore, guests among them.'),
  row('gauge',   'xenstore_watches',                  [],                              host((_, { store }) => store.watches),          'Watches of all clients of XenStore.'),
  row('gauge',   'domain_state',                      [...DOMAIN, 'state'],            every(states),                                  '1 for the state that the domain is in.'),
  row('counter', 'domain_cpu_seconds_total',          DOMAIN,                          each((i) => i.cpuTime / NS),                    'Processor time of all vCPUs.'),
  row('counter', 'domain_vcpu_seconds_total',         [...DOMAIN, 'vcpu', 'state'],    every(runstates),                               'Time of a vCPU in each of its runstates.'),
  row('counter', 'domain_instructions_total',         DOMAIN,                          each((i) => i.retired),                         'Instructions retired.'),
  row('gauge',   'domain_vcpus',                      DOMAIN,                          each((i) => i.vcpus.filter((v) => v.online).length), 'vCPUs online.'),
  row('gauge',   'domain_memory_bytes',               DOMAIN,                          each((i) => i.totPages * PAGE),                 'Memory that the domain has.'),
  row('gauge',   'domain_memory_max_bytes',           DOMAIN,                          each((i) => i.maxPages * PAGE),                 'Memory that the domain may have.'),
  row('counter', 'domain_hypercalls_total',           [...DOMAIN, 'call'],             every(({ calls }) => byName(calls)),            'Hypercalls by name.'),
  row('counter', 'domain_hypercalls_missing_total',   [...DOMAIN, 'call'],             every(({ missing }) => byName(missing)),        'Hypercalls answered with -ENOSYS.'),
  row('gauge',   'domain_event_channels',             DOMAIN,                          each((i) => i.eventChannels),                   'Event-channel ports in use.'),
  row('counter', 'domain_events_total',               DOMAIN,                          each((i) => i.eventsRaised),                    'Notifications of its ports, virtual IRQs among them.'),
  row('gauge',   'domain_grant_frames',               DOMAIN,                          each((i) => i.grantFrames),                     'Pages of its grant table.'),
  row('gauge',   'domain_grants_in_use',              DOMAIN,                          each((i) => i.grantsInUse),                     'Grants of its own that somebody uses.'),
  row('gauge',   'domain_grants_mapped',              DOMAIN,                          each((i) => i.grantsMapped),                    'Grants of others that it has mapped.'),
  row('counter', 'domain_console_bytes_total',        DOMAIN,                          each((_, { printed }) => printed),              'Bytes printed on its console.'),
  row('counter', 'disk_requests_total',               [...DOMAIN, 'vdev', 'request'],  disks(REQUESTS),                                'Requests of its ring, by kind.'),
  row('counter', 'disk_bytes_total',                  [...DOMAIN, 'vdev', 'direction'], disks(DISK_BYTES),                             'Bytes read and written.'),
  row('counter', 'disk_errors_total',                 [...DOMAIN, 'vdev', 'kind'],     disks(DISK_ERRORS),                             'Requests refused as wrong, and failures of the image.'),
  row('counter', 'vif_packets_total',                 [...DOMAIN, 'vif', 'direction'], vifs(PACKETS),                                  'Packets that the guest sends (tx) and receives (rx).'),
  row('counter', 'vif_bytes_total',                   [...DOMAIN, 'vif', 'direction'], vifs(VIF_BYTES),                                'Bytes that the guest sends (tx) and receives (rx).'),
  row('counter', 'vif_errors_total',                  [...DOMAIN, 'vif', 'direction'], vifs(VIF_ERRORS),                               'Packets answered with an error.'),
  row('counter', 'vif_drops_total',                   [...DOMAIN, 'vif', 'reason'],    vifs(VIF_DROPS),                                'Packets that the guest did not get.'),
];
