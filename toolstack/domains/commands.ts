/** Everything that can be done to a domain: the one vocabulary behind REST, WebSocket and command line. */

import type { DomainCreate, ShutdownRequest } from '../schemas/domain.js';

/** `id` is a domid, a name or a uuid. */
export type DomainCommand =
  /** Builds a domain and starts it unless it is to be left paused. */
  | { readonly kind: 'create'; readonly config: DomainCreate }
  /** Ends a domain at once; one that has ended already is forgotten. */
  | { readonly kind: 'destroy'; readonly id: string }
  /** Legal while running or blocked. */
  | { readonly kind: 'pause'; readonly id: string }
  /** Legal while paused. */
  | { readonly kind: 'unpause'; readonly id: string }
  /** Asks the kernel to power off; legal until it has shut down. */
  | { readonly kind: 'shutdown'; readonly id: string; readonly request: ShutdownRequest }
  /** Asks the kernel to reboot; legal until it has shut down. */
  | { readonly kind: 'reboot'; readonly id: string; readonly request: ShutdownRequest };
