/** console_io (18): the emergency console. Writing goes to the hypervisor's log; there is nothing to read. Spec: xen-abi §1.2. */

import { asVirtAddr } from '../machine/types.js';
import { ERRNO } from '../public/errno.js';
import { type Hypercall, PREEMPTED } from './hypercall.js';

const CONSOLEIO = { WRITE: 0, READ: 1 } as const;
/** Bytes taken at a time; between pieces the call can be preempted. */
const PIECE = 1024;

export function consoleIo(call: Hypercall): number {
  const cmd = call.argLo(0);
  if (cmd === CONSOLEIO.WRITE) return write(call);
  if (cmd === CONSOLEIO.READ) return read(call);
  return call.missing(`console_io(${cmd})`);
}

function read(call: Hypercall): number {
  if (call.domain.isPrivileged) return 0;
  return call.refuse(-ERRNO.EPERM, 'd%d is not privileged: Xen reads its console', call.domain.id);
}

function write(call: Hypercall): number {
  const at = call.argAddress(2);
  if (at === undefined) return -ERRNO.EFAULT;
  const count = call.argLo(1) | 0;
  for (let done = 0; done < count; done += PIECE) {
    if (done > 0 && call.shouldPreempt()) {
      const rest = asVirtAddr(at + done);
      call.setArg(1, count - done, 0);
      call.setArg(2, rest >>> 0, Math.floor(rest / 2 ** 32) >>> 0);
      return PREEMPTED;
    }
    const bytes = call.guest.copyFrom(asVirtAddr(at + done), Math.min(PIECE, count - done));
    if (!bytes) return -ERRNO.EFAULT;
    call.hv.consoleWrite(call.domain, printable(bytes));
  }
  return 0;
}

/** Printable ASCII, tabs and newlines; the rest is dropped. */
function printable(bytes: Uint8Array): string {
  let result = '';
  for (const byte of bytes) {
    if ((byte >= 0x20 && byte < 0x7f) || byte === 0x0a || byte === 0x09) {
      result += String.fromCharCode(byte);
    }
  }
  return result;
}
