/** The page: what runs all the time, and its views. */

import { request } from './api.js';
import { loadIcons } from './dom.js';
import { domainsView } from './domains-view.js';
import { startEvents } from './event-feed.js';
import { eventsView } from './events-view.js';
import { hostView } from './host-view.js';
import { startKeys } from './keys.js';
import { startLooking } from './live.js';
import { startRouter } from './router.js';
import { storeView } from './store-view.js';
import { complain } from './toast.js';
import { traceView } from './trace-view.js';
import { showVitals } from './vitals.js';

const VIEWS = [domainsView, traceView, storeView, eventsView, hostView];

addEventListener('unhandledrejection', ({ reason }) => complain('Something went wrong', reason));

void loadIcons(); // which are drawn as soon as they are here
showVitals(); // the header
startRouter(VIEWS); // the view that the address names
startKeys(VIEWS); // what can be done without a mouse
await request('GET', '/v1/host').catch(() => undefined); // asks for a token, if one is needed, before sockets want it
startLooking(); // figures, again and again
startEvents(); // what happens to domains
