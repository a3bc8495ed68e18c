/**
 * The life cycle of domains: commands of the operator on one side, what guests do of themselves on the other.
 * Whatever changes one domain happens one after the other, in the order in which it was asked for.
 */

import { randomUUID } from 'node:crypto';
import { Console } from '../../dom0/console.js';
import { requestShutdown } from '../../dom0/control.js';
import type { DeviceEvent } from '../../dom0/device.js';
import type { Dom0 } from '../../dom0/guest.js';
import type { DomainNotice } from '../../dom0/privcmd.js';
import type { DomainInfo } from '../../hypervisor/public/privcmd.js';
import type { Core, DumpCoreRequest } from '../schemas/core.js';
import type { DomainDisk } from '../schemas/disk.js';
import type { Domain, DomainCreate, ShutdownRequest } from '../schemas/domain.js';
import type { DomainEvent } from '../schemas/event.js';
import type { DomainVif } from '../schemas/vif.js';
import { type Alteration, alterDomain } from './alterations.js';
import { buildDomain, tearDown } from './builder.js';
import type { DomainCommand } from './commands.js';
import { typeInto } from './console-input.js';
import { type Cores, dumpCrashed } from './cores.js';
import { DEVICE_EVENTS, type DeviceHost, DomainDevices } from './domain-devices.js';
import { CommandError } from './errors.js';
import { etagOf, requireMatch } from './etag.js';
import type { EventLog } from './event-log.js';
import type { Images } from './images.js';
import { forgetEnd, keepLastOutput, noteEnd } from './last-words.js';
import { adoptNext } from './next-config.js';
import { type Reaction, reactionTo } from './policies.js';
import { type BuildFrom, type DomainRecord, describeDomain, requireState } from './record.js';
import { Registry } from './registry.js';
import type { Symbols } from './symbols.js';
import type { Progress } from './tasks.js';
import { Turns } from './turns.js';

const MS = 1000;
export class Domains {
  readonly #dom0: Dom0;
  readonly #host: DeviceHost;
  readonly #images: Images;
  readonly #cores: Cores;
  readonly #events: EventLog;
  readonly #symbols: Symbols;
  readonly #registry = new Registry();
  readonly #turns = new Turns<DomainRecord>();

  constructor(host: DeviceHost, images: Images, cores: Cores, events: EventLog, symbols: Symbols) {
    const { dom0 } = host;
    this.#dom0 = dom0;
    this.#host = host;
    this.#images = images;
    this.#cores = cores;
    this.#events = events;
    this.#symbols = symbols;
    dom0.privcmd.onDomain((notice) => this.#notice(notice));
  }

  /** @returns the domain as it is after the command. */
  async run(command: DomainCommand): Promise<Domain> {
    switch (command.kind) {
      case 'create':
        return this.#create(command.config, undefined, command.build);
      case 'destroy':
        return this.#destroy(this.#registry.require(command.id));
      case 'pause':
      case 'unpause':
        return this.#turn(this.#registry.require(command.id), command.kind);
      case 'shutdown':
        return this.#ask(this.#registry.require(command.id), 'poweroff', command.request);
      case 'reboot':
        return this.#ask(this.#registry.require(command.id), 'reboot', command.request);
      default:
        return this.#alter(this.#registry.require(command.id), command);
    }
  }

  /** By ascending domid; those that have ended only if asked for. */
  async list({ ended }: { ended: boolean }): Promise<Domain[]> {
    const infos = await this.#dom0.privcmd.call('getdomaininfolist', {});
    const byDomid = new Map(infos.map((info) => [info.domid, info]));
    const live = this.#registry.live().flatMap((record) => {
      const info = byDomid.get(record.domid) ?? record.lastInfo;
      return info === undefined ? [] : [describeDomain(record, info)];
    });
    const past = ended ? this.#registry.ended().map((record) => describeDomain(record)) : [];
    return [...live, ...past].sort((a, b) => a.domid - b.domid || (a.uuid < b.uuid ? -1 : 1));
  }

  async read(id: string): Promise<Domain> {
    return this.#describe(this.#registry.require(id));
  }

  etag(id: string): string {
    return etagOf(this.#registry.require(id));
  }

  /** What its next incarnation is to be built from. */
  config(id: string): DomainCreate {
    const { config, next = config } = this.#registry.require(id);
    return next;
  }

  /** The domain of that name or uuid, if there is one now. */
  domidOf(id: string): number | undefined {
    return this.#registry.lookup(id)?.domid;
  }

  readonly named = () => this.#registry.named();

  disks(id: string): DomainDisk[] {
    return this.#registry.require(id).devices.disks();
  }

  disk(id: string, vdev: string): DomainDisk {
    return this.#registry.require(id).devices.disk(vdev);
  }

  vifs(id: string): DomainVif[] {
    const { devices, uuid } = this.#registry.require(id);
    return devices.vifs(uuid);
  }

  vif(id: string, devid: number): DomainVif {
    const { devices, uuid } = this.#registry.require(id);
    return devices.vif(uuid, devid);
  }

  console(id: string): Console {
    return this.#registry.require(id).console;
  }

  /** Types into a console. Throws if the guest is gone or does not read. */
  type(id: string, bytes: Uint8Array): void {
    typeInto(this.#registry.require(id), bytes);
  }

  /** Ends all domains: the service stops. */
  async endAll(): Promise<void> {
    await Promise.allSettled(this.#registry.live().map((record) => this.#destroy(record)));
  }

  /** @param devices that it takes over; those of its configuration if there are none. @param build see DomainRecord. */
  async #create(config: DomainCreate, devices?: DomainDevices, build?: BuildFrom): Promise<Domain> {
    const uuid = (config.uuid ?? randomUUID()).toLowerCase();
    const record: DomainRecord = {
      config,
      devices: devices ?? new DomainDevices(this.#host),
      console: new Console(),
      name: config.name,
      uuid,
      domid: 0,
      guest: undefined,
      createdAt: new Date(),
      ...(build && { build }),
    };
    this.#registry.add(record);
    return this.#exclusive(record, async () => {
      try {
        const { disks, vifs } = config;
        if (devices === undefined && disks.length + vifs.length > 0) {
          await record.devices.plan(disks, vifs);
        }
        await this.#start(record);
      } catch (error) {
        this.#registry.drop(record);
        await record.devices.forget();
        throw error;
      }
      this.#record('created', record);
      return describeDomain(record);
    });
  }

  /** Builds an incarnation and lets it run, unless it is to be left paused. */
  async #start(record: DomainRecord): Promise<void> {
    await buildDomain(this.#dom0, this.#images, record, (event) => this.#heard(record, event));
    record.createdAt = new Date();
    this.#symbols.remember(record.domid, { kernel: record.config.kernel, image: record.image });
    const running = record.config.paused ? undefined : this.#call('unpausedomain', record);
    await Promise.all([running, this.#info(record)]);
  }

  #destroy(record: DomainRecord): Promise<Domain> {
    const hadEnded = record.endedAt !== undefined;
    return this.#exclusive(record, async () => {
      if (hadEnded) this.#registry.forget(record);
      else if (record.endedAt === undefined) await this.#end(record);
      return describeDomain(record);
    });
  }

  async #end(record: DomainRecord): Promise<void> {
    await tearDown(this.#dom0, record);
    await record.devices.forget();
    record.endedAt = new Date();
    this.#registry.end(record);
    record.console.end();
    keepLastOutput(record);
    this.#record('destroyed', record);
  }

  /** Stops or continues its vCPUs. */
  #turn(record: DomainRecord, kind: 'pause' | 'unpause'): Promise<Domain> {
    const states = kind === 'pause' ? (['running', 'blocked'] as const) : (['paused'] as const);
    return this.#exclusive(record, async () => {
      requireState(await this.#describe(record), states, `${kind}d`);
      await this.#call(`${kind}domain`, record);
      this.#record(`${kind}d`, record);
      return this.#describe(record);
    });
  }

  #ask(
    record: DomainRecord,
    action: 'poweroff' | 'reboot',
    { force, timeout }: ShutdownRequest,
  ): Promise<Domain> {
    return this.#exclusive(record, async () => {
      requireState(
        await this.#describe(record),
        ['running', 'blocked', 'paused'],
        `asked to ${action}`,
      );
      if (force) {
        await this.#dom0.privcmd.call('shutdown', { domid: record.domid, reason: action });
      } else {
        await this.#askKernel(record, action, timeout);
      }
      return this.#describe(record);
    });
  }

  /** Changes what it is, or what it has. */
  #alter(record: DomainRecord, command: Alteration): Promise<Domain> {
    return this.#exclusive(record, async () => {
      requireState(await this.#describe(record), ['running', 'blocked', 'paused'], 'changed');
      if (command.kind === 'change') requireMatch(record, command.ifMatch);
      if (command.kind === 'change' && command.change.name !== undefined) {
        this.#registry.requireFree('name', command.change.name, record);
      }
      const tell = (event: DeviceEvent): void => this.#heard(record, event);
      const { kind, ...what } = await alterDomain(this.#host, record, command, tell);
      this.#record(kind, record, what);
      return this.#describe(record);
    });
  }

  #heard(record: DomainRecord, { kind, device, detail }: DeviceEvent): void {
    this.#record(DEVICE_EVENTS[kind], record, { device, detail });
  }

  /** Writes control/shutdown and lets an event tell if the kernel does not notice in time. */
  async #askKernel(
    record: DomainRecord,
    action: 'poweroff' | 'reboot',
    timeout: number,
  ): Promise<void> {
    const { store } = this.#dom0;
    const { domid } = record;
    const { acknowledged } = await requestShutdown(store, domid, action, timeout * MS);
    acknowledged.then(
      (answered) => {
        if (answered || record.domid !== domid || record.guest === undefined) return;
        const detail = `control/shutdown "${action}" was not acknowledged within ${timeout} s`;
        this.#record('unresponsive', record, { detail });
      },
      () => undefined,
    );
  }

  /** A guest has stopped of itself. */
  #notice(notice: DomainNotice): void {
    const { domid, state } = notice;
    const record = this.#registry.byDomid(domid);
    if (record === undefined || state === 'destroyed') return;
    const reason = noteEnd(record, notice, this.#symbols);
    this.#record(reason === 'crash' ? 'crashed' : 'shutdown', record);
    const age = Date.now() - record.createdAt.getTime();
    const reaction = reactionTo(record.config, reason, age);
    setTimeout(() => void this.#react(reaction, record, domid).catch(logBug), reaction.delay);
  }

  #react({ dump, then }: Reaction, record: DomainRecord, domid: number): Promise<void> {
    return this.#exclusive(record, async () => {
      const isStale = (): boolean => record.domid !== domid || record.guest === undefined;
      if (isStale()) return;
      if (dump) await this.#dumpCrashed(record);
      if (isStale() || then === 'preserve') return;
      if (then === 'destroy') await this.#end(record);
      if (then === 'restart') await this.#restart(record);
      if (then === 'rename-restart') await this.#renameRestart(record);
    });
  }

  /** A core of a domain that has not been destroyed, written while nothing else happens to it. */
  dumpCore(id: string, request: DumpCoreRequest, progress: Progress): Promise<Core> {
    const record = this.#registry.require(id);
    return this.#exclusive(record, async () => {
      if (record.guest === undefined) {
        const message = `Domain ${record.domid} has ended; there is nothing left to dump.`;
        throw new CommandError('wrong-state', message);
      }
      const core = await this.#cores.dump(record, request, progress);
      this.#record('core-dumped', record, { detail: core.name });
      return core;
    });
  }

  /** Takes a step with a domain that runs, while nothing else happens to it. */
  exclusively<Result>(
    id: string,
    wanted: string,
    step: (record: DomainRecord) => Promise<Result>,
  ): Promise<Result> {
    const record = this.#registry.require(id);
    return this.#exclusive(record, async () => {
      requireState(await this.#describe(record), ['running', 'blocked'], wanted);
      return step(record);
    });
  }

  async #dumpCrashed(record: DomainRecord): Promise<void> {
    const { kind, detail } = await dumpCrashed(this.#cores, record);
    this.#record(kind, record, { detail });
  }

  /** The same domain again, under a new domid; its console goes on. */
  async #restart(record: DomainRecord): Promise<void> {
    await tearDown(this.#dom0, record);
    forgetEnd(record);
    try {
      await adoptNext(this.#host, record);
      await this.#start(record);
      this.#record('restarted', record);
    } catch (error) {
      record.detail = `restart failed: ${error instanceof Error ? error.message : String(error)}`;
      await this.#end(record);
    }
  }

  /** The dead one steps aside for the post-mortem; its successor gets name and uuid. */
  async #renameRestart(record: DomainRecord): Promise<void> {
    const { name, uuid, config, next, devices } = record;
    record.name = `${name}-${record.domid}`;
    record.uuid = randomUUID();
    await devices.detach();
    record.devices = new DomainDevices(this.#host);
    if (next !== undefined) await devices.forget();
    await this.#create({ ...(next ?? config), name, uuid }, next ? undefined : devices);
  }

  async #describe(record: DomainRecord): Promise<Domain> {
    if (record.guest === undefined) {
      if (record.endedAt === undefined && record.lastInfo === undefined) {
        throw new CommandError('no-such-domain', `Domain "${record.name}" is still being built.`);
      }
      return describeDomain(record);
    }
    return describeDomain(record, await this.#info(record));
  }

  async #info(record: DomainRecord): Promise<DomainInfo> {
    record.lastInfo = await this.#dom0.privcmd.call('getdomaininfo', { domid: record.domid });
    return record.lastInfo;
  }

  #call(op: 'pausedomain' | 'unpausedomain', { domid }: DomainRecord): Promise<unknown> {
    return this.#dom0.privcmd.call(op, { domid });
  }

  #record(
    kind: DomainEvent['kind'],
    record: DomainRecord,
    { device, detail = record.detail }: Pick<Partial<DomainEvent>, 'device' | 'detail'> = {},
  ): void {
    const { domid, uuid, name, state, shutdownReason } = describeDomain(record);
    this.#events.record({
      kind,
      domid,
      uuid,
      name,
      state,
      ...(device !== undefined && { device }),
      ...(shutdownReason && { reason: shutdownReason }),
      ...(detail && { detail }),
    });
  }

  #exclusive<Result>(record: DomainRecord, step: () => Promise<Result>): Promise<Result> {
    return this.#turns.take(record, step);
  }
}

function logBug(error: unknown): void {
  console.error('domains: a step that cannot fail has failed:', error);
}
