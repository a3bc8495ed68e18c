/** `npm start`: the service, one line for each thing there is to know about it, and a guest to talk to. */

import { parseOptions, type ServiceOptions, USAGE } from './options.js';
import { DomainCreate } from './schemas/domain.js';
import { type Service, startService } from './service.js';

const say = (line: string): void => void process.stdout.write(`${line}\n`);

/** Time for guests and sockets to end after a signal, milliseconds. */
const GRACE_MS = 5000;

async function main(): Promise<void> {
  const options = parseOptions(process.argv.slice(2), process.env);
  if (options === undefined) return say(USAGE);
  const started = performance.now();
  const service = await startService(options, say);
  closeOnSignals(service);
  dieWith(service);
  await describe(service, options, performance.now() - started);
}

async function describe(service: Service, options: ServiceOptions, ms: number): Promise<void> {
  const { url, services } = service;
  const { memory } = await services.host.read();
  say(`Xenolith is up after ${Math.round(ms)} ms.`);
  say(`  API      ${url}/v1/domains   (OpenAPI: ${url}/openapi.json)`);
  say(`  trace    ${url.replace('http', 'ws')}/v1/trace   or: npm run xl -- trace`);
  say(`  memory   ${memory.freeFrames} of ${memory.totalFrames} frames of 4 KiB free`);
  say(`  images   ${options.images}`);
  say(
    `  store    ${options.storeSocket ? `XENSTORED_PATH=${options.storeSocket} xenstore-ls` : 'no socket'}`,
  );
  if (service.firstToken !== undefined) {
    say(`  token    ${service.firstToken}   (of an admin; it is shown only now)`);
  }
  const { started, failed } = await service.autostarted;
  if (started + failed > 0) {
    say(`  defined  ${started} of ${started + failed} domains with autostart have been started`);
  }
  if (options.demo !== undefined) await startDemo(service, options.demo);
}

/** A demo that cannot be started is said, and no reason to stop. */
async function startDemo({ services }: Service, kernel: string): Promise<void> {
  try {
    const config = DomainCreate.parse({ name: 'demo', kernel });
    const { domid } = await services.domains.run({ kind: 'create', config });
    say(
      `  guest    ${kernel} runs as domain ${domid}, "demo"; talk to it: npm run xl -- console demo   (ctrl-] leaves)`,
    );
  } catch (error) {
    say(
      `  guest    ${kernel} could not be started: ${error instanceof Error ? error.message : error}`,
    );
  }
}

function closeOnSignals(service: Service): void {
  const end = async (): Promise<void> => {
    say('Ending all domains.');
    setTimeout(() => process.exit(1), GRACE_MS).unref();
    await service.close();
    process.exit(0);
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void end());
}

/** Without its hypervisor the service is of no use: whoever supervises it is to start it anew. */
function dieWith({ failed }: Service): void {
  void failed.then((reason) => {
    process.stderr.write(`The hypervisor ${reason}\n`);
    process.exit(1);
  });
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
});
