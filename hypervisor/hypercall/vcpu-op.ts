/** vcpu_op (24): bring vCPUs up and down, their timers and the pages they share with Xen. Spec: vcpu.h; xen-abi §2.4. */

import type { Vcpu } from '../common/domain.js';
import { encodeTime, writeVcpuTime } from '../common/time.js';
import { PAGE_SIZE } from '../machine/layout.js';
import {
  asHostAddr,
  asMfn,
  asVirtAddr,
  fromU64,
  type Mfn,
  type VirtAddr,
} from '../machine/types.js';
import { ERRNO } from '../public/errno.js';
import * as abi from '../public/vcpu.js';
import { vcpuInfo, vcpuTimeInfo, XEN_LEGACY_MAX_VCPUS } from '../public/xen.js';
import type { Hypercall } from './hypercall.js';
import { encodeRunstate } from './runstate-area.js';

const { VCPUOP } = abi;
const EFAULT = -ERRNO.EFAULT;

type Operation = (call: Hypercall, vcpu: Vcpu, arg: VirtAddr | undefined) => number;

// biome-ignore format: one row per operation
const OPERATIONS: Readonly<Record<number, Operation>> = {
  [VCPUOP.INITIALISE]:                     initialise,
  [VCPUOP.UP]:                             up,
  [VCPUOP.DOWN]:                           down,
  [VCPUOP.IS_UP]:                          (_, vcpu) => (vcpu.online ? 1 : 0),
  [VCPUOP.GET_RUNSTATE_INFO]:              getRunstateInfo,
  [VCPUOP.REGISTER_RUNSTATE_MEMORY_AREA]:  registerRunstateArea,
  [VCPUOP.SET_PERIODIC_TIMER]:             setPeriodicTimer,
  [VCPUOP.STOP_PERIODIC_TIMER]:            stopPeriodicTimer,
  [VCPUOP.SET_SINGLESHOT_TIMER]:           setSingleshotTimer,
  [VCPUOP.STOP_SINGLESHOT_TIMER]:          stopSingleshotTimer,
  [VCPUOP.REGISTER_VCPU_INFO]:             registerVcpuInfo,
  [VCPUOP.SEND_NMI]:                       sendNmi,
  [VCPUOP.GET_PHYSID]:                     refusePhysid,
  [VCPUOP.REGISTER_VCPU_TIME_MEMORY_AREA]: registerTimeArea,
};

export function vcpuOp(call: Hypercall): number {
  const cmd = call.argLo(0);
  const vcpu = call.domain.vcpus[call.argLo(1)];
  if (!vcpu) {
    const { id, vcpus } = call.domain;
    return call.refuse(
      -ERRNO.ENOENT,
      'd%d has %d vCPUs, none is vCPU %d',
      id,
      vcpus.length,
      call.argLo(1),
    );
  }
  const operation = OPERATIONS[cmd];
  return operation ? operation(call, vcpu, call.argAddress(2)) : call.missing(`vcpu_op(${cmd})`);
}

function initialise(call: Hypercall, vcpu: Vcpu, arg: VirtAddr | undefined): number {
  if (vcpu.id >= XEN_LEGACY_MAX_VCPUS && vcpu.infoMfn === undefined) {
    return call.refuse(
      -ERRNO.EINVAL,
      'vCPU %d has no vcpu_info: VCPUOP_register_vcpu_info comes first',
      vcpu.id,
    );
  }
  if (vcpu.isInitialised) {
    return call.refuse(-ERRNO.EEXIST, 'vCPU %d is initialised already', vcpu.id);
  }
  const result = call.hv.initialiseVcpu(call.domain, vcpu, arg);
  if (result === 0) vcpu.isInitialised = true;
  else if (result !== EFAULT) call.refuse(result, 'the context of vCPU %d is not taken', vcpu.id);
  return result;
}

function refusePhysid(call: Hypercall, vcpu: Vcpu): number {
  return call.refuse(-ERRNO.EINVAL, 'vCPU %d is not pinned to a processor', vcpu.id);
}

/** Timers of this kind are the business of the vCPU itself. */
function refuseOther(call: Hypercall, vcpu: Vcpu): number {
  const rule = 'vCPU %d sets its own single-shot timer, not that of vCPU %d';
  return call.refuse(-ERRNO.EINVAL, rule, call.vcpu.vcpu.id, vcpu.id);
}

function up(call: Hypercall, vcpu: Vcpu): number {
  if (!vcpu.isInitialised) {
    return call.refuse(
      -ERRNO.EINVAL,
      'vCPU %d is not initialised: VCPUOP_initialise comes first',
      vcpu.id,
    );
  }
  if (vcpu.online) return 0;
  vcpu.online = true;
  writeVcpuTime(call.hv.ram, vcpu.infoAddress, call.hv.clock.now());
  call.hv.wake(vcpu);
  return 0;
}

/** The last vCPU to go down takes the domain with it. */
function down(call: Hypercall, vcpu: Vcpu): number {
  vcpu.online = false;
  call.hv.sleep(vcpu);
  if (call.domain.vcpus.every((other) => !other.online)) call.domain.shutdown('poweroff');
  return 0;
}

function getRunstateInfo(call: Hypercall, vcpu: Vcpu, arg: VirtAddr | undefined): number {
  return writeRunstate(call, vcpu, arg) ? 0 : EFAULT;
}

function writeRunstate(call: Hypercall, vcpu: Vcpu, at: VirtAddr | undefined): boolean {
  const values = encodeRunstate(vcpu.runstate, call.hv.clock.now());
  return call.guest.encode(abi.vcpuRunstateInfo, at, values);
}

/** A null pointer ends it, as for the time area: Linux lets go of both before it suspends. */
function registerRunstateArea(call: Hypercall, vcpu: Vcpu, arg: VirtAddr | undefined): number {
  const pointer = call.guest.readU64(arg);
  if (pointer === undefined) return EFAULT;
  if (pointer === 0n) {
    vcpu.runstate.area = undefined;
    return 0;
  }
  const at = fromU64(pointer);
  if (!writeRunstate(call, vcpu, at)) return EFAULT;
  vcpu.runstate.area = at;
  return 0;
}

function setPeriodicTimer(call: Hypercall, vcpu: Vcpu, arg: VirtAddr | undefined): number {
  const period = call.guest.readNumber(arg);
  if (period === undefined) return EFAULT;
  if (!(period >= abi.MIN_PERIOD_NS && period <= Number.MAX_SAFE_INTEGER)) {
    return call.refuse(
      -ERRNO.EINVAL,
      'a period has %d ns at least, not %d',
      abi.MIN_PERIOD_NS,
      period,
    );
  }
  vcpu.period = period;
  call.hv.timers.set(vcpu.periodic, call.hv.clock.now() + period);
  return 0;
}

function stopPeriodicTimer(call: Hypercall, vcpu: Vcpu): number {
  vcpu.period = 0;
  call.hv.timers.cancel(vcpu.periodic);
  return 0;
}

function setSingleshotTimer(call: Hypercall, vcpu: Vcpu, arg: VirtAddr | undefined): number {
  if (vcpu !== call.vcpu.vcpu) return refuseOther(call, vcpu);
  const input = call.guest.decode(abi.vcpuSetSingleshotTimer, arg);
  if (!input) return EFAULT;
  const at = Number(input.timeoutAbsNs);
  const now = call.hv.clock.now();
  if (input.flags & abi.VCPU_SSHOTTMR_FUTURE && at < now) {
    return call.refuse(-ERRNO.ETIME, '%d ns is past: the system time is %d ns', at, now);
  }
  call.hv.timers.set(vcpu.singleshot, at);
  return 0;
}

function stopSingleshotTimer(call: Hypercall, vcpu: Vcpu): number {
  if (vcpu !== call.vcpu.vcpu) return refuseOther(call, vcpu);
  call.hv.timers.cancel(vcpu.singleshot);
  return 0;
}

/**
 * Moves the vcpu_info of a vCPU into a page of the guest's, once. Everything is marked pending, since events may have been
 * noted in the old place meanwhile.
 */
function registerVcpuInfo(call: Hypercall, vcpu: Vcpu, arg: VirtAddr | undefined): number {
  const input = call.guest.decode(abi.vcpuRegisterVcpuInfo, arg);
  if (!input) return EFAULT;
  const { offset } = input;
  const mfn = asMfn(Number(input.mfn));
  const wrong = checkInfoPage(call, vcpu, mfn, offset);
  if (wrong) return wrong;
  const frame = call.domain.ownFrame(mfn);
  if (frame === undefined || !call.domain.takeReference(mfn, true)) {
    const rule = 'mfn %x is not memory of d%d that Xen may write to';
    return call.refuse(-ERRNO.EINVAL, rule, mfn, call.domain.id);
  }
  const { ram, clock } = call.hv;
  const from = vcpu.infoAddress;
  const to = asHostAddr(ram.addressOf(frame) + offset);
  ram.u8.copyWithin(to, from, from + vcpuInfo.size);
  if (vcpu.id >= XEN_LEGACY_MAX_VCPUS) ram.u8.fill(0, to, to + vcpuInfo.size);
  vcpuInfo.encode(ram.view, to, {
    evtchnUpcallPending: 1,
    evtchnPendingSel: (1n << 64n) - 1n,
    ...(vcpu.id >= XEN_LEGACY_MAX_VCPUS ? { evtchnUpcallMask: 1 } : {}),
  });
  vcpu.infoAddress = to;
  vcpu.infoMfn = mfn;
  writeVcpuTime(ram, to, clock.now());
  return 0;
}

/** @returns 0 or -EINVAL. */
function checkInfoPage(call: Hypercall, vcpu: Vcpu, mfn: Mfn, offset: number): number {
  const refuse = (rule: string, ...figures: number[]): number =>
    call.refuse(-ERRNO.EINVAL, rule, ...figures);
  if (offset > PAGE_SIZE - vcpuInfo.size || offset % 8 !== 0) {
    return refuse('offset %x in mfn %x: vcpu_info is aligned to 8 and within a page', offset, mfn);
  }
  if (vcpu.infoMfn !== undefined) {
    return refuse('the vcpu_info of vCPU %d is in mfn %x already', vcpu.id, vcpu.infoMfn);
  }
  if (vcpu !== call.vcpu.vcpu && vcpu.online) return refuse('vCPU %d is up', vcpu.id);
  return 0;
}

function sendNmi(call: Hypercall, vcpu: Vcpu): number {
  call.hv.pvVcpuOf(vcpu).nmiPending = true;
  vcpu.unblock();
  return 0;
}

function registerTimeArea(call: Hypercall, vcpu: Vcpu, arg: VirtAddr | undefined): number {
  const pointer = call.guest.readU64(arg);
  if (pointer === undefined) return EFAULT;
  if (pointer === 0n) {
    vcpu.timeArea = undefined;
    return 0;
  }
  const at = fromU64(pointer);
  const image = new Uint8Array(vcpuTimeInfo.size);
  encodeTime(new DataView(image.buffer), 0, call.hv.clock.now());
  if (at === undefined || !call.guest.copyTo(asVirtAddr(at), image)) return EFAULT;
  vcpu.timeArea = at;
  return 0;
}
