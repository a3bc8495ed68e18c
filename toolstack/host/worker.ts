/** The hypervisor's Worker: gives it RAM, a clock and its mailbox, and lets it run until it is told to stop. */

import { type MessagePort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import type { HypervisorHost } from '../../hypervisor/host.js';
import { Hypervisor } from '../../hypervisor/index.js';
import type { Clock } from '../../hypervisor/machine/clock.js';
import { Ram } from '../../hypervisor/machine/ram.js';
import type { PrivcmdCall } from '../../hypervisor/public/privcmd.js';
import type { WorkerSeed } from './hypervisor-thread.js';

const NS_PER_MS = 1e6;

function hostClock(): Clock {
  const start = performance.now();
  return {
    wallClockAtStart: Date.now() * NS_PER_MS,
    now: () => Math.round((performance.now() - start) * NS_PER_MS),
  };
}

function mailbox(port: MessagePort, doorbell: Int32Array): HypervisorHost {
  return {
    doorbell,
    receive: () => receiveMessageOnPort(port)?.message as PrivcmdCall | undefined,
    send: (message) => port.postMessage(message),
    waitForInput: (timeoutMs, seen) => {
      Atomics.wait(doorbell, 0, seen, timeoutMs);
    },
  };
}

const { memory, doorbell, port } = workerData as WorkerSeed;
const hypervisor = new Hypervisor({
  ram: new Ram(memory),
  clock: hostClock(),
  host: mailbox(port, doorbell),
});
hypervisor.run();
port.close();
