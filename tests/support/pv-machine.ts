/** PV without an engine: a domain built from an image, hypercalls made by hand, and the counts of its pages checked. */

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Domain, type DomainServices } from '../../hypervisor/common/domain.js';
import { FramePool } from '../../hypervisor/common/frame-pool.js';
import { Timers } from '../../hypervisor/common/timer.js';
import { Trace } from '../../hypervisor/common/trace.js';
import { Dispatcher } from '../../hypervisor/hypercall/dispatch.js';
import type { HypercallServices } from '../../hypervisor/hypercall/services.js';
import { ManualClock } from '../../hypervisor/machine/clock.js';
import { HostFrames } from '../../hypervisor/machine/host-frames.js';
import { Ram } from '../../hypervisor/machine/ram.js';
import {
  asDomId,
  asMfn,
  asVirtAddr,
  type Mfn,
  type VirtAddr,
} from '../../hypervisor/machine/types.js';
import { HYPERCALLS } from '../../hypervisor/public/hypercalls.js';
import { buildDomain } from '../../hypervisor/pv/domain-builder.js';
import { isImageError } from '../../hypervisor/pv/image-error.js';
import { tableSlot } from '../../hypervisor/pv/pte.js';
import { Pv } from '../../hypervisor/pv/pv.js';
import type { PvDomain } from '../../hypervisor/pv/pv-domain.js';
import type { PvVcpu } from '../../hypervisor/pv/pv-vcpu.js';
import { FakeProcessor } from './fake-processor.js';
import { wrongCounts } from './page-counts.js';

const MIB = 1024 * 1024;
const ARGUMENTS = [7, 6, 2, 10, 8, 9];
/** VIRT_BASE of the guests in guests/. */
export const BASE = -0x8000_0000;

export const image = (name: string): Uint8Array =>
  // A copy: `slice` of a Buffer would share its bytes.
  new Uint8Array(
    readFileSync(fileURLToPath(new URL(`../../guests/images/${name}.elf`, import.meta.url))),
  );

export class PvMachine {
  readonly ram = Ram.allocate(48 * MIB);
  readonly clock = new ManualClock();
  readonly frames = new FramePool(new HostFrames(this.ram), () => undefined);
  readonly processor = new FakeProcessor(this.ram);
  readonly explanations: string[] = [];
  readonly pv: Pv;
  readonly services: DomainServices;
  readonly domain: Domain;
  readonly v: PvVcpu;
  readonly dispatcher: Dispatcher;
  readonly trace: Trace;
  /** What shouldPreempt answers. */
  preempt = false;
  readonly memoryPages: number;

  constructor(memoryPages = 1024) {
    this.memoryPages = memoryPages;
    const { ram, frames, clock } = this;
    this.pv = new Pv({
      ram,
      frames,
      processor: this.processor,
      readTsc: () => clock.now(),
      version: [4, 17],
      explain: (_domain, _vcpu, why) => this.explanations.push(why()),
    });
    const nothing = () => undefined;
    this.services = {
      ram,
      frames,
      clock,
      timers: new Timers(),
      memory: this.pv.memory,
      host: {
        frameWritten: nothing,
        wake: nothing,
        sleep: nothing,
        domainShutdown: nothing,
        log: nothing,
      },
    };
    this.domain = this.newDomain(1);
    const built = buildDomain(this.pv, this.domain, { kernel: image('hello'), memoryPages });
    if (isImageError(built)) throw new Error(`${built.field}: ${built.found}`);
    this.v = this.pv.vcpuOf(this.domain.vcpus[0]!);
    this.trace = new Trace(ram);
    this.dispatcher = this.#dispatcher();
    this.dispatcher.enter(this.v);
    this.pv.contextSwitch(this.v);
  }

  newDomain(id: number): Domain {
    return new Domain(
      {
        id: asDomId(id),
        handle: '',
        isPrivileged: false,
        maxPages: this.memoryPages,
        maxVcpus: 2,
        maxGrantFrames: 4,
        maxMaptrackFrames: 1,
        maxEventChannels: 64,
        weight: 256,
        cap: 0,
      },
      this.services,
    );
  }

  get pvDomain(): PvDomain {
    return this.v.pv;
  }

  get registers() {
    return this.processor.registers;
  }

  /** A page well behind the image, its tables and its stack, mapped writable. n counts from 0. */
  spare(n: number): { va: VirtAddr; mfn: Mfn; word: number } {
    const va = asVirtAddr(BASE + 0x20_0000 + n * 4096);
    const mfn = this.pvDomain.mappedMfn(this.v.kernelTable, va);
    return { va, mfn: asMfn(mfn), word: this.pvDomain.types.table(mfn) };
  }

  /** Sets entries of a page directly, as a guest does with a page that is not a table yet. */
  fill(page: { word: number }, entries: Readonly<Record<number, bigint>>): void {
    for (const [slot, entry] of Object.entries(entries)) {
      this.ram.u64[page.word / 2 + Number(slot)] = entry;
    }
  }

  /** The entry that maps an address. */
  entryOf(va: VirtAddr): { table: number; slot: number; address: number } {
    const table = this.pvDomain.l1Table(this.v.kernelTable, va);
    const slot = tableSlot(va, 1);
    return { table, slot, address: table * 4096 + slot * 8 };
  }

  entry(table: number, slot: number): bigint {
    return this.ram.u64[this.pvDomain.types.table(table) / 2 + slot]!;
  }

  /** Maps a spare page read-only, so that it may become a table. */
  writeProtect(page: { va: VirtAddr; mfn: number }): number {
    return this.call('update_va_mapping', page.va, pte(page.mfn, 0x61), 2);
  }

  /** Makes a hypercall by name. @returns rax as a signed number; undefined if it was preempted and has to be made again. */
  callOnce(name: string, ...args: readonly (number | bigint)[]): number | undefined {
    const number = HYPERCALLS.findIndex((row) => row?.name === name);
    this.registers.set(0, BigInt(number));
    for (const [n, register] of ARGUMENTS.entries()) {
      this.registers.set(register, BigInt.asUintN(64, BigInt(args[n] ?? 0)));
    }
    return this.again();
  }

  /** Makes the call in the registers. */
  again(): number | undefined {
    const rip = asVirtAddr(0x1002);
    this.registers.rip = rip;
    this.dispatcher.dispatch();
    return this.registers.rip === rip ? this.registers.number(0) : undefined;
  }

  /** As callOnce, continued to its end. */
  call(name: string, ...args: readonly (number | bigint)[]): number {
    let result = this.callOnce(name, ...args);
    for (let n = 0; result === undefined && n < 1000; n++) result = this.again();
    if (result === undefined) throw new Error(`${name} never ends`);
    return result;
  }

  /** Puts 64-bit words into the page for arguments. */
  put(...words: readonly (number | bigint)[]): VirtAddr {
    const page = this.spare(200);
    for (const [n, word] of words.entries()) {
      this.ram.u64[page.word / 2 + n] = BigInt.asUintN(64, BigInt(word));
    }
    return page.va;
  }

  mmuUpdate(ptr: number, val: bigint, domid = 0x7ff0): number {
    return this.call('mmu_update', this.put(ptr, val), 1, 0, domid);
  }

  mmuext(cmd: number, arg1: number, arg2 = 0): number {
    return this.call('mmuext_op', this.put(cmd, arg1, arg2), 1, 0, 0x7ff0);
  }

  /** @returns one line for each page whose counts do not agree with the tables. */
  wrongCounts(): string[] {
    return wrongCounts(this.ram, this.pvDomain, this.#vcpus());
  }

  #vcpus(): PvVcpu[] {
    return this.domain.vcpus.map((vcpu) => this.pv.vcpuOf(vcpu));
  }

  #dispatcher(): Dispatcher {
    const { ram, clock, frames, pv } = this;
    const nothing = () => undefined;
    const services: HypercallServices = {
      ram,
      clock,
      timers: this.services.timers,
      frames,
      pv,
      lookupDomain: (domid) => (domid === this.domain.id ? this.domain : undefined),
      pvOf: (domain) => pv.of(domain),
      pvVcpuOf: (vcpu) => pv.vcpuOf(vcpu),
      initialiseVcpu: (domain, vcpu, context) => pv.initialiseVcpu(domain, vcpu, context),
      yield: nothing,
      sleep: nothing,
      wake: nothing,
      shouldPreempt: () => this.preempt,
      wantsReasons: () => true,
      explain: (_domain, _vcpu, why) => this.explanations.push(why),
      log: nothing,
      consoleWrite: nothing,
    };
    return new Dispatcher(services, this.registers, pv.guest, this.trace);
  }
}

/** An entry: frame and flags. */
export const pte = (mfn: number, flags: number): bigint => (BigInt(mfn) << 12n) | BigInt(flags);
