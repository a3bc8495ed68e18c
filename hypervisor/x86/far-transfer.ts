/** RETF, IRET, far CALL and JMP: rare, and done by the host functions of far-transfer-host.ts. */

import type { Semantics } from './builder.js';
import { type Family, forms } from './define.js';
import { RETURN_FAR, RETURN_FROM_INTERRUPT, TRANSFER_FAR } from './far-transfer-host.js';
import { SLOT } from './state.js';

const returnFar =
  (bytes: number): Semantics =>
  (b, { dst, count }) => {
    const release = count > 0 ? b.zeroExtend(b.read(dst), 32) : b.const(32, 0);
    b.finish(b.call(RETURN_FAR, b.const(32, bytes), release));
  };

const returnFromInterrupt =
  (bytes: number): Semantics =>
  (b) =>
    b.finish(b.call(RETURN_FROM_INTERRUPT, b.const(32, bytes)));

/** @param bytes of the offset in the far pointer. @param pushBytes 0 for a jump. */
const transfer =
  (bytes: number, pushBytes: number): Semantics =>
  (b, { dst }) => {
    const address = b.address(dst);
    const offset = b.load(address, bytes * 8);
    const selector = b.load(b.add(address, b.const(64, bytes)), 16);
    b.setState(SLOT.RESULT, b.zeroExtend(offset, 64));
    b.setState(SLOT.RESULT + 8, selector, 2);
    b.setState(SLOT.RESULT + 16, b.nextRip());
    b.finish(b.call(TRANSFER_FAR, b.const(32, pushBytes)));
  };

/** The pointer is an immediate: the offset low, the selector in bits 47 to 32. @param pushBytes 0 for a jump. */
const transferTo =
  (pushBytes: number): Semantics =>
  (b, { dst }) => {
    const pointer = b.read(dst);
    b.setState(SLOT.RESULT, b.and(pointer, b.const(64, 0xffff_ffff)));
    b.setState(SLOT.RESULT + 8, b.truncate(b.shrU(pointer, 32), 32), 2);
    b.setState(SLOT.RESULT + 16, b.nextRip());
    b.finish(b.call(TRANSFER_FAR, b.const(32, pushBytes)));
  };

export const farTransfers: Family = (define) => {
  const last = { ends: true, last: true } as const;
  // biome-ignore format: one row per form
  const rows: readonly (readonly [names: string[], body: Semantics])[] = [
    [['Retfw', 'Retfw_imm16'],  returnFar(2)],
    [['Retfd', 'Retfd_imm16'],  returnFar(4)],
    [['Retfq', 'Retfq_imm16'],  returnFar(8)],
    [['Iretw'],                 returnFromInterrupt(2)],
    [['Iretd'],                 returnFromInterrupt(4)],
    [['Iretq'],                 returnFromInterrupt(8)],
    [forms('Jmp', 'm1616'),     transfer(2, 0)],
    [forms('Jmp', 'm1632'),     transfer(4, 0)],
    [forms('Jmp', 'm1664'),     transfer(4, 0)], // as on AMD, REX.W leaves the offset at 32 bits
    [forms('Call', 'm1616'),    transfer(2, 2)],
    [forms('Call', 'm1632'),    transfer(4, 4)],
    [forms('Call', 'm1664'),    transfer(4, 8)],
    [['Jmp_ptr1616', 'Jmp_ptr1632'], transferTo(0)],
    [['Call_ptr1616'],          transferTo(2)],
    [['Call_ptr1632'],          transferTo(4)],
  ];
  for (const [names, body] of rows) define(names, body, last);
};
