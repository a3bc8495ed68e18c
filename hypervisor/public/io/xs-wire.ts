/** The XenStore wire protocol: message types, error names, limits and the layout of the ring page. */
// Spec: Xen public/io/xs_wire.h, docs/misc/xenstore.txt, docs/misc/xenstore-ring.txt.
import { struct } from '../struct.js';

/** Message types. A reply carries the type of its request, or ERROR. */
// biome-ignore format: one row per message
export const XS = {
  /** Commands to the daemon itself; was DEBUG. */
  CONTROL:               0,
  /** Names of the children of a node. */
  DIRECTORY:             1,
  READ:                  2,
  GET_PERMS:             3,
  WATCH:                 4,
  UNWATCH:               5,
  TRANSACTION_START:     6,
  TRANSACTION_END:       7,
  /** Announces a domain's ring page and event channel to the daemon. */
  INTRODUCE:             8,
  RELEASE:               9,
  GET_DOMAIN_PATH:      10,
  WRITE:                11,
  MKDIR:                12,
  RM:                   13,
  SET_PERMS:            14,
  /** Sent by the daemon only: a watch has fired. */
  WATCH_EVENT:          15,
  /** Sent by the daemon only: the payload is an error's name. */
  ERROR:                16,
  IS_DOMAIN_INTRODUCED: 17,
  /** A suspended domain runs again: its next shutdown is news. */
  RESUME:               18,
  /** Lets a device-model domain act with the rights of the domain it serves. */
  SET_TARGET:           19,
  // 20 was RESTRICT and has been removed.
  RESET_WATCHES:        21,
  /** DIRECTORY in parts, for lists longer than a payload. */
  DIRECTORY_PART:       22,
  /** The four below are younger than Xen 4.17; they answer only when switched on. */
  GET_FEATURE:          23,
  SET_FEATURE:          24,
  GET_QUOTA:            25,
  SET_QUOTA:            26,
} as const;
export type XsType = (typeof XS)[keyof typeof XS];

/** The names a client knows in an ERROR payload, with their numbers on Linux. */
// biome-ignore format: one row per error, in the order of xsd_errors[]
export const XS_ERRNO = {
  EINVAL:    22,
  EACCES:    13,
  EEXIST:    17,
  EISDIR:    21,
  ENOENT:     2,
  ENOMEM:    12,
  ENOSPC:    28,
  EIO:        5,
  ENOTEMPTY: 39,
  ENOSYS:    38,
  EROFS:     30,
  EBUSY:     16,
  EAGAIN:    11,
  EISCONN:  106,
  E2BIG:      7,
  EPERM:      1,
} as const;
export type XsErrno = keyof typeof XS_ERRNO;

/** struct xsd_sockmsg: stands before every payload. */
export const XS_HEADER = struct('xsd_sockmsg', {
  type: 'u32',
  /** Chosen by the client, echoed in the reply; 0 in events. */
  req_id: 'u32',
  /** Transaction, 0 for none; echoed in the reply. */
  tx_id: 'u32',
  /** Bytes of payload, at most PAYLOAD_MAX. */
  len: 'u32',
});

export const XS_LIMIT = {
  /** Bytes of a payload, either way. A longer one is a protocol violation and ends the connection. */
  PAYLOAD_MAX: 4096,
  /** Characters of an absolute path. */
  ABS_PATH_MAX: 3072,
  /** Characters of a relative path. */
  REL_PATH_MAX: 2048,
} as const;

/**
 * struct xenstore_domain_interface: the page shared by a domain and the daemon. Indices run freely; index mod 1024
 * is the offset in the ring. The domain produces requests and consumes responses.
 *
 *        0 ┌──────────────────────┐
 *          │ req[1024]            │  domain → daemon
 *     1024 ├──────────────────────┤
 *          │ rsp[1024]            │  daemon → domain: replies and events
 *     2048 ├──────────────────────┤
 *          │ indices and flags    │
 *          └──────────────────────┘
 */
export const XS_RING = struct('xenstore_domain_interface', {
  req: { bytes: 1024, align: 1 },
  rsp: { bytes: 1024, align: 1 },
  req_cons: 'u32',
  req_prod: 'u32',
  rsp_cons: 'u32',
  rsp_prod: 'u32',
  server_features: 'u32',
  connection: 'u32',
  error: 'u32',
});

/** Bytes of each of the two rings. */
export const XS_RING_SIZE = 1024;

/** Bits of `server_features`. */
export const XS_FEATURE = {
  /** The ring can be reconnected through `connection`. */
  RECONNECTION: 1,
  /** `error` tells why the daemon stopped serving the ring. */
  ERROR: 2,
  /** WATCH takes a third string, the depth (younger than Xen 4.17). */
  WATCH_DEPTH: 4,
} as const;

/** Values of `connection`. */
export const XS_CONNECTION = {
  CONNECTED: 0,
  /** Set by the domain, cleared by the daemon when both rings are empty again. */
  RECONNECT: 1,
} as const;

/** Values of `error`. */
export const XS_RING_ERROR = {
  NONE: 0,
  /** Communication problem. */
  COMM: 1,
  /** A producer index is more than a ring ahead of its consumer. */
  RINGIDX: 2,
  /** A payload longer than PAYLOAD_MAX. */
  PROTO: 3,
} as const;

/** Domain numbers with a meaning of their own. */
export const XS_DOMID = {
  /** The first reserved number: real domains are below. */
  FIRST_RESERVED: 0x7ff0,
  SELF: 0x7ff0,
} as const;
