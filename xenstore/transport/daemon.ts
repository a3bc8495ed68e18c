/** XenStore alone, without a hypervisor: `tsx xenstore/transport/daemon.ts --socket PATH`. */
import { parseArgs } from 'node:util';
import { XenstoreServer } from '../server/server.js';
import { listenOnSocket } from './unix-socket.js';

/** Where libxenstore looks when nothing else is said. */
const DEFAULT_SOCKET = '/var/run/xenstored/socket';

const { values } = parseArgs({
  options: {
    socket: { type: 'string', default: process.env['XENSTORED_PATH'] || DEFAULT_SOCKET },
    features: { type: 'string', default: '0' },
  },
});

const server = new XenstoreServer({
  features: Number(values.features),
  hooks: { log: (text) => console.log(text), bug: (error) => console.error(error) },
});
const transport = await listenOnSocket(server, values.socket); // mode 0600
console.log(`xenstored: listening on ${transport.path}`);

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => void transport.close().then(() => process.exit(0)));
}
