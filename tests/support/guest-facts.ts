/** Facts of a guest that no hypervisor made, for tests of the nodes it finds. */

import type { GuestFacts } from '../../dom0/guest-nodes.js';

export const GUEST_FACTS: GuestFacts = {
  domid: 7,
  uuid: '00000000-0000-4000-8000-000000000007',
  name: 'seven',
  memoryKib: 4096,
  maxMemoryKib: 8192,
  vcpus: 1,
  maxVcpus: 2,
  storeMfn: 11,
  storePort: 1,
  consoleMfn: 12,
  consolePort: 2,
  consoleLimit: 1000,
};
