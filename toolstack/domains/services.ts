/** What the API is given to work with. */

import type { Cores } from './cores.js';
import type { Definitions } from './definitions.js';
import type { DiskFolders } from './disk-folders.js';
import type { Domains } from './domains.js';
import type { EventFeed } from './event-feed.js';
import type { EventLog } from './event-log.js';
import type { HostFacts } from './host-facts.js';
import type { Images } from './images.js';
import type { Metrics } from './metrics.js';
import type { Networks } from './networks.js';
import type { Readiness } from './readiness.js';
import type { Recordings } from './recordings.js';
import type { Saves } from './saves.js';
import type { StoreTree } from './store-tree.js';
import type { Symbols } from './symbols.js';
import type { Tasks } from './tasks.js';
import type { Tokens } from './tokens.js';
import type { TraceFeed } from './trace-feed.js';

export interface Services {
  readonly domains: Domains;
  readonly definitions: Definitions;
  readonly tasks: Tasks;
  readonly cores: Cores;
  readonly saves: Saves;
  readonly images: Images;
  readonly disks: DiskFolders;
  readonly networks: Networks;
  readonly events: EventLog;
  readonly feed: EventFeed;
  readonly host: HostFacts;
  readonly trace: TraceFeed;
  readonly recordings: Recordings;
  readonly store: StoreTree;
  readonly symbols: Symbols;
  readonly metrics: Metrics;
  readonly readiness: Readiness;
  readonly tokens: Tokens;
}
