/** The figures of host, domains and devices as Prometheus reads them; what each one means is a row of metric-rows.ts. */

import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { Privcmd } from '../../dom0/privcmd.js';
import type { DomainInfo, HypercallStats } from '../../hypervisor/public/privcmd.js';
import type { Domain } from '../schemas/domain.js';
import type { Domains } from './domains.js';
import type { EventLog } from './event-log.js';
import { type DomainFigures, type Figures, METRICS } from './metric-rows.js';
import type { StoreTree } from './store-tree.js';

const NO_CALLS: HypercallStats = { calls: {}, missing: {} };

export interface MetricSources {
  readonly privcmd: Privcmd;
  readonly domains: Domains;
  readonly events: EventLog;
  readonly store: StoreTree;
}

export class Metrics {
  readonly contentType = Registry.PROMETHEUS_CONTENT_TYPE;
  readonly #sources: MetricSources;
  /** Those of this process, from when somebody asks: collecting them wakes an idle host a hundred times a second. */
  #process: Registry | undefined;

  constructor(sources: MetricSources) {
    this.#sources = sources;
  }

  /** Everything as it is now. */
  async text(): Promise<string> {
    const figures = await this.#read();
    // Made anew each time: a domain that is gone leaves no figures behind.
    const registry = new Registry();
    for (const { kind, name, help, labels, read } of METRICS) {
      const options = { name, help, labelNames: [...labels], registers: [registry] };
      const metric = kind === 'counter' ? new Counter(options) : new Gauge(options);
      for (const [values, value] of read(figures)) {
        metric.inc(Object.fromEntries(labels.map((label, n) => [label, values[n] ?? ''])), value);
      }
    }
    this.#process ??= collectProcess();
    return (await registry.metrics()) + (await this.#process.metrics());
  }

  async #read(): Promise<Figures> {
    const { privcmd, domains, events, store } = this.#sources;
    const [host, infos, list] = await Promise.all([
      privcmd.call('physinfo', {}),
      privcmd.call('getdomaininfolist', {}),
      domains.list({ ended: false }),
    ]);
    const known = new Map(list.map((domain) => [domain.domid, domain]));
    const figures = infos.map((info) => this.#readDomain(info, known.get(info.domid)));
    const { store: tree, connections, watches } = store.inspect();
    return {
      host,
      domains: await Promise.all(figures),
      events: events.last,
      store: { nodes: tree.nodes, connections: connections.length, watches },
    };
  }

  /** @param domain undefined for one that is just being built. */
  async #readDomain(info: DomainInfo, domain: Domain | undefined): Promise<DomainFigures> {
    const { domid } = info;
    const { calls, missing } = await this.#sources.privcmd
      .call('hypercallstats', { domid })
      .catch(() => NO_CALLS); // it has ended meanwhile
    return {
      info,
      domain,
      calls,
      missing,
      printed: domain === undefined ? 0 : this.#printed(domain),
    };
  }

  #printed({ uuid }: Domain): number {
    const { domains } = this.#sources;
    return domains.domidOf(uuid) === undefined ? 0 : domains.console(uuid).history.total;
  }
}

function collectProcess(): Registry {
  const register = new Registry();
  collectDefaultMetrics({ register });
  return register;
}
