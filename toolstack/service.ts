/** The service as a whole: everything that runs, in the order in which it starts, and back. */

import { readFileSync } from 'node:fs';
import type { FastifyInstance } from 'fastify';
import { createNetwork, type Network } from '../dom0/network/network.js';
import { Privcmd } from '../dom0/privcmd.js';
import { XenstoreClient } from '../xenstore/client/client.js';
import { inProcessChannel } from '../xenstore/transport/in-process.js';
import { listenOnSocket, type SocketTransport } from '../xenstore/transport/unix-socket.js';
import { Access } from './api/access.js';
import { taskProblem } from './api/problems.js';
import { buildApp } from './app.js';
import { type Autostarted, autostart } from './domains/autostart.js';
import { Cores } from './domains/cores.js';
import { Definitions } from './domains/definitions.js';
import { DiskFolders } from './domains/disk-folders.js';
import { Domains } from './domains/domains.js';
import { EventFeed } from './domains/event-feed.js';
import { EventLog } from './domains/event-log.js';
import { HostFacts } from './domains/host-facts.js';
import { ImageFacts } from './domains/image-facts.js';
import { Images } from './domains/images.js';
import { Metrics } from './domains/metrics.js';
import { Networks, OUTSIDE } from './domains/networks.js';
import { Readiness } from './domains/readiness.js';
import { Recordings } from './domains/recordings.js';
import { Saves } from './domains/saves.js';
import type { Services } from './domains/services.js';
import { StoreTree } from './domains/store-tree.js';
import { Symbols } from './domains/symbols.js';
import { Tasks } from './domains/tasks.js';
import { Tokens } from './domains/tokens.js';
import { TraceFeed } from './domains/trace-feed.js';
import { HypervisorThread, type Machine } from './host/hypervisor-thread.js';
import { startStore } from './host/store.js';
import type { ServiceOptions } from './options.js';
import { isLoopback, listen } from './server.js';
import { openState, type State } from './state/state.js';

export interface Service {
  /** Where the API answers. */
  readonly url: string;
  readonly services: Services;
  /** A token for its admin, made because a service that others can reach had none. */
  readonly firstToken: string | undefined;
  /** Resolves when the domains that are to be there from the start have been tried. */
  readonly autostarted: Promise<Autostarted>;
  /** Resolves with the reason if the hypervisor ends before it was told to. */
  readonly failed: Promise<string>;
  /** Ends the domains, closes all sockets, stops the hypervisor. */
  close(): Promise<void>;
}

/** Time for tasks to end by themselves, milliseconds. */
const GRACE_MS = 1000;

const PACKAGE = new URL('../package.json', import.meta.url);
const product = (): string => {
  const { name, version } = JSON.parse(readFileSync(PACKAGE, 'utf8')) as Record<string, string>;
  return `${name} ${version}`;
};

/** @param log where the parts say what they have to say. */
export async function startService(
  options: ServiceOptions,
  log: (line: string) => void = () => undefined,
  machine: Machine = new HypervisorThread(options.memory),
): Promise<Service> {
  const state = await openState(options.state, log); // what outlives the service
  const privcmd = new Privcmd(machine, machine); // dom0's door to the hypervisor
  const end = { wanted: false };
  const failed = watchMachine(machine, privcmd, end);
  await privcmd.ready; // the hypervisor takes calls
  const server = startStore(privcmd, log); // XenStore, with a ring for each guest
  const store = new XenstoreClient(inProcessChannel(server, { label: 'toolstack' }));
  const socket = options.storeSocket && (await listenOnSocket(server, options.storeSocket));
  const images = new Images(options, new ImageFacts(state.imageFacts)); // kernels and RAM disks
  await images.sweep();
  const disks = new DiskFolders(options); // disk images
  await disks.sweep();
  const events = new EventLog(state.eventNumbers); // what happens to domains, numbered
  const closedHostPorts: number[] = []; // what guests do not reach at the gateway: the API itself
  const network = createNetwork({ natSwitch: OUTSIDE, closedHostPorts }); // switches, and a way out for guests
  const networks = new Networks(network);
  const host = { dom0: { privcmd, store }, disks, networks };
  const cores = new Cores(options.cores, privcmd); // what dump-core writes
  const saves = new Saves(options.saves, { privcmd, store }); // suspended domains
  const symbols = new Symbols(images); // names for addresses
  const domains = new Domains(host, images, cores, events, symbols); // their life cycle
  const trace = new TraceFeed(privcmd, machine.ram, domains, symbols.nameOf); // hypercalls as they happen
  const facts = new HostFacts(privcmd, product(), symbols); // figures
  const tree = new StoreTree(server, store);
  const tokens = new Tokens(state.tokens); // who may use the API
  const definitions = new Definitions(state.definitions, domains, events); // domains that are remembered
  const services = {
    domains,
    definitions,
    tasks: new Tasks(events, taskProblem), // what goes on beyond its request
    cores,
    saves,
    images,
    disks,
    networks,
    events,
    feed: new EventFeed(events), // to whom they are told
    trace,
    recordings: new Recordings(options.recordings, trace), // and kept in files
    host: facts,
    store: tree,
    symbols,
    metrics: new Metrics({ privcmd, domains, events, store: tree }), // for Prometheus
    readiness: new Readiness(privcmd, tree), // for probes
    tokens,
  };
  const open = !isLoopback(options.listen); // reached from elsewhere
  const access = new Access(tokens, open, options.hostNames);
  const app = await buildApp(services, { ...options, access }); // HTTP and WebSocket
  const firstToken = open ? await makeFirstToken(tokens) : undefined;
  const url = await listen(app, options.listen, options.port);
  closedHostPorts.push(Number(new URL(url).port));
  const autostarted = autostart(definitions, services.readiness, log);
  const close = async () => {
    end.wanted = true;
    services.readiness.stop();
    await autostarted;
    return shutDown(app, services, network, socket || undefined, privcmd, machine, state);
  };
  return { url, services, firstToken, autostarted, failed, close };
}

/** Whoever waits for the hypervisor is told when it is gone; the service has failed only if that was not wanted. */
function watchMachine(
  machine: Machine,
  privcmd: Privcmd,
  end: { readonly wanted: boolean },
): Promise<string> {
  return new Promise((resolve) => {
    void machine.ended.then((reason) => {
      privcmd.fail(reason);
      if (!end.wanted) resolve(reason);
    });
  });
}

/** Without an admin nobody could let anybody in. */
async function makeFirstToken(tokens: Tokens): Promise<string | undefined> {
  if (tokens.anyAdmin) return undefined;
  const { token } = await tokens.create({ name: 'first', scope: 'admin' });
  return token;
}

async function shutDown(
  app: FastifyInstance,
  { domains, tasks, images, trace, recordings }: Services,
  network: Network,
  socket: SocketTransport | undefined,
  privcmd: Privcmd,
  machine: Machine,
  state: State,
): Promise<void> {
  recordings.stopAll();
  await tasks.settle(GRACE_MS);
  await app.close();
  trace.close();
  await domains.endAll();
  await images.settled;
  await network.close();
  await socket?.close();
  await privcmd.call('stop', {}).catch(() => undefined);
  await machine.terminate();
  await state.close();
}
