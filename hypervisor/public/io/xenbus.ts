/**
 * Xenbus: how the two ends of a split driver find each other and agree, through XenStore.
 * Spec: Xen public/io/xenbus.h; xenstore-paths(7), sections "Domain controlled paths" and "Paths private to the toolstack".
 *
 *   frontend  /local/domain/<domid>/device/<type>/<devid>/{backend,backend-id,state,…}
 *   backend   /local/domain/<backend-domid>/backend/<type>/<domid>/<devid>/{frontend,frontend-id,online,state,…}
 *
 *   frontend  Initialising ─────────────▶ Initialised ─▶ Connected ─▶ Closing ─▶ Closed
 *   backend   Initialising ─▶ InitWait ────────────────▶ Connected ─▶ Closing ─▶ Closed
 *
 * Each end writes only its own `state` and watches the other's.
 */

/** `enum xenbus_state`: the decimal value of a `state` node. */
export const XENBUS_STATE = {
  /** No such device, or the node vanished. */
  UNKNOWN: 0,
  /** The toolstack has made the nodes; the driver has not begun. */
  INITIALISING: 1,
  /** Early initialisation done, waiting for the other end's details or a hotplug script. */
  INIT_WAIT: 2,
  /** Own details are published, waiting for the other end to connect. */
  INITIALISED: 3,
  /** Ring and event channel are in use. */
  CONNECTED: 4,
  /** Being closed after an error or an unplug. */
  CLOSING: 5,
  /** Nothing is shared any more. */
  CLOSED: 6,
  /** Configuration is being changed while connected. */
  RECONFIGURING: 7,
  /** The change has been taken over. */
  RECONFIGURED: 8,
} as const;

/**
 * Nodes of a frontend, below `/local/domain/<domid>/device/<type>/<devid>/`.
 *
 * backend
 *   Values:        <path>
 *   The backend's directory.
 * backend-id
 *   Values:        <domid>
 *   Domain of the backend: whom to grant to and to offer the event channel.
 * state
 *   Values:        XENBUS_STATE
 *   The frontend's state.
 */
export const FRONTEND_NODES = {
  BACKEND: 'backend',
  BACKEND_ID: 'backend-id',
  STATE: 'state',
} as const;

/**
 * Nodes of a backend, below `/local/domain/<backend-domid>/backend/<type>/<domid>/<devid>/`.
 *
 * frontend
 *   Values:        <path>
 *   The frontend's directory.
 * frontend-id
 *   Values:        <domid>
 *   Domain of the frontend.
 * online
 *   Values:        0, 1
 *   0 asks the backend to remove the device once it is closed.
 * state
 *   Values:        XENBUS_STATE
 *   The backend's state.
 */
export const BACKEND_NODES = {
  FRONTEND: 'frontend',
  FRONTEND_ID: 'frontend-id',
  ONLINE: 'online',
  STATE: 'state',
} as const;

/**
 * Nodes by which the toolstack asks a guest to act, below `/local/domain/<domid>/control/`.
 *
 * shutdown
 *   Values:        "poweroff", "reboot", "halt", "suspend", "s3", ""
 *   Written by the toolstack; the guest writes "" to say that it has begun.
 * sysrq
 *   Values:        one character
 *   Written by the toolstack, cleared by the guest.
 * platform-feature-multiprocessor-suspend
 *   Values:        0, 1
 *   All vCPUs of a suspended domain are kept by the toolstack.
 * platform-feature-xs_reset_watches
 *   Values:        0, 1
 *   The XenStore has RESET_WATCHES.
 */
export const CONTROL_NODES = {
  SHUTDOWN: 'control/shutdown',
  SYSRQ: 'control/sysrq',
  MULTIPROCESSOR_SUSPEND: 'control/platform-feature-multiprocessor-suspend',
  RESET_WATCHES: 'control/platform-feature-xs_reset_watches',
} as const;
