/** Everything that can be done to a domain: the one vocabulary behind REST, WebSocket and command line. */

import type { DiskConfig } from '../schemas/disk.js';
import type { DomainChange, DomainCreate, ShutdownRequest } from '../schemas/domain.js';
import type { VifConfig } from '../schemas/vif.js';
import type { BuildFrom } from './record.js';

/** `id` is a domid, a name or a uuid. */
export type DomainCommand =
  /** Builds a domain and starts it unless it is to be left paused. */
  | { readonly kind: 'create'; readonly config: DomainCreate; readonly build?: BuildFrom }
  /** Ends a domain at once; one that has ended already is forgotten. */
  | { readonly kind: 'destroy'; readonly id: string }
  /** Legal while running or blocked. */
  | { readonly kind: 'pause'; readonly id: string }
  /** Legal while paused. */
  | { readonly kind: 'unpause'; readonly id: string }
  /** Asks the kernel to power off; legal until it has shut down. */
  | { readonly kind: 'shutdown'; readonly id: string; readonly request: ShutdownRequest }
  /** Asks the kernel to reboot; legal until it has shut down. */
  | { readonly kind: 'reboot'; readonly id: string; readonly request: ShutdownRequest }
  /** Changes what can be changed of a domain that has not stopped. */
  | {
      readonly kind: 'change';
      readonly id: string;
      readonly change: DomainChange;
      readonly ifMatch?: string | undefined;
    }
  /** Presses a magic key; legal until the domain has shut down. */
  | { readonly kind: 'sysrq'; readonly id: string; readonly key: string }
  /** Sends an NMI to a vCPU; legal until the domain has shut down. */
  | { readonly kind: 'nmi'; readonly id: string; readonly vcpu: number }
  /** Changes what the domain is built from when it reboots; legal until it has shut down. */
  | { readonly kind: 'configure'; readonly id: string; readonly config: DomainCreate }
  /** Attach and detach devices; legal until the domain has shut down. What is attached comes back after a reboot. */
  | { readonly kind: 'attach-disk'; readonly id: string; readonly disk: DiskConfig }
  | {
      readonly kind: 'detach-disk';
      readonly id: string;
      readonly vdev: string;
      readonly force: boolean;
    }
  | { readonly kind: 'attach-vif'; readonly id: string; readonly vif: VifConfig }
  | {
      readonly kind: 'detach-vif';
      readonly id: string;
      readonly devid: number;
      readonly force: boolean;
    };
