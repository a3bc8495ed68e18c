/** Split devices as the life cycle of domains sees them, whatever they are: what is told of one, and how it ends. */

import type { XenbusState } from './xenbus.js';

export type DeviceKind = 'vbd' | 'vif';

/** What befalls a device while it is attached. */
export type DeviceEventKind =
  /** The frontend has connected, or has come back after it closed. */
  | 'connected'
  /** The frontend has closed the device. */
  | 'closed'
  /** The backing file failed, shrank or is full; the guest was given an error. */
  | 'io-error'
  /** The frontend broke the protocol; the device is disconnected until the frontend starts anew. */
  | 'protocol-error';

export interface DeviceEvent {
  readonly kind: DeviceEventKind;
  readonly domid: number;
  /** "vbd 51712 (xvda)", "vif 0". */
  readonly device: string;
  /** In words, for the operator. */
  readonly detail: string;
}

export interface DeviceStatus {
  readonly kind: DeviceKind;
  readonly devid: number;
  readonly backendState: XenbusState;
  readonly frontendState: XenbusState;
  /** Counters since it was attached: requests, bytes, errors, drops by reason. */
  readonly counters: Readonly<Record<string, number>>;
  /** What the two ends have agreed on: protocol, queues, ring pages, features. */
  readonly negotiated: Readonly<Record<string, string | number | boolean>>;
}

export interface Device {
  readonly kind: DeviceKind;
  readonly devid: number;
  status(): DeviceStatus;
  /**
   * Asks the frontend to let go (state Closing, online 0), waits so long for it, then removes everything there is of the
   * device. With a wait of 0 nobody is asked: the domain is dying. Cannot fail.
   */
  detach(options: { readonly waitMs: number }): Promise<void>;
}
