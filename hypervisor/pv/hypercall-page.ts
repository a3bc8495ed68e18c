/** The page of stubs that a guest calls to make hypercalls. Spec: xen-abi §1.1. */

import { PAGE_SIZE } from '../machine/layout.js';
import type { Ram } from '../machine/ram.js';
import { HYPERCALL_STUB_SIZE, HYPERCALL_STUBS } from '../public/arch-x86.js';
import { HYPERCALLS } from '../public/hypercalls.js';

//                    push rcx  push r11    mov eax, nr          syscall     pop r11     pop rcx  ret
const CALL = [0x51, 0x41, 0x53, 0xb8, 0, 0, 0, 0, 0x0f, 0x05, 0x41, 0x5b, 0x59, 0xc3];
//                    push rcx  push r11    push rax  mov eax, nr          syscall
const IRET = [0x51, 0x41, 0x53, 0x50, 0xb8, 0, 0, 0, 0, 0x0f, 0x05];
const CALL_NUMBER_AT = 4;
/** Where a stub is in its call, and how much it has on the stack then, above which lies the address it returns to. */
export const STUB_RETURN_AT = 10;
export const STUB_STACK = 16;
const IRET_NUMBER_AT = 5;
/** Between the stubs: int3, so that a jump astray is seen. */
const FILL = 0xcc;
const IRET_NUMBER = HYPERCALLS.findIndex((row) => row?.name === 'iret');

/** Fills a frame with the stubs. The caller drops code decoded from it. */
export function writeHypercallPage(ram: Ram, frame: number): void {
  const page = ram.u8.subarray(frame * PAGE_SIZE, (frame + 1) * PAGE_SIZE);
  page.set(stubs());
}

let image: Uint8Array | undefined;

/** The same for all domains, made once. */
function stubs(): Uint8Array {
  if (image) return image;
  image = new Uint8Array(PAGE_SIZE).fill(FILL);
  for (let number = 0; number < HYPERCALL_STUBS; number++) {
    const isIret = number === IRET_NUMBER;
    const at = number * HYPERCALL_STUB_SIZE;
    image.set(isIret ? IRET : CALL, at);
    image[at + (isIret ? IRET_NUMBER_AT : CALL_NUMBER_AT)] = number;
  }
  return image;
}
