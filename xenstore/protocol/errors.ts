/** The one error of XenStore: its code is what the wire says. */
import { XS_ERRNO, type XsErrno } from '../../hypervisor/public/io/xs-wire.js';

export class XenStoreError extends Error {
  readonly code: XsErrno;
  constructor(code: XsErrno, message: string = code) {
    super(message);
    this.name = 'XenStoreError';
    this.code = code;
  }
  /** The number Linux gives the code. */
  get errno(): number {
    return XS_ERRNO[this.code];
  }
}

const NAMES = Object.keys(XS_ERRNO) as XsErrno[];

// Made once: a failing request is ordinary traffic, and a stack trace would cost more than the request.
const PREPARED = Object.fromEntries(NAMES.map((code) => [code, new XenStoreError(code)])) as Record<
  XsErrno,
  XenStoreError
>;

/** The shared error of a code; it carries no useful stack. */
export const failure = (code: XsErrno): XenStoreError => PREPARED[code];

/** The code a peer's ERROR payload names; a name nobody knows reads as EINVAL, as in libxenstore. */
export const errnoNamed = (name: string): XsErrno =>
  NAMES.find((code) => code === name) ?? 'EINVAL';
