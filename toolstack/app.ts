/** Builds the HTTP service over the services it is given; listening is server.ts's business. */

import { randomUUID } from 'node:crypto';
import rateLimit from '@fastify/rate-limit';
import Fastify, { type FastifyBaseLogger, type FastifyInstance } from 'fastify';
import { serializerCompiler, validatorCompiler } from 'fastify-type-provider-zod';
import { type Access, installAccess } from './api/access.js';
import {
  answerClientError,
  headersTimeout,
  installBodyTimeout,
  type Patience,
} from './api/client-errors.js';
import { consoleRoutes, consoleSocket } from './api/console.js';
import { coreRoutes } from './api/cores.js';
import { dashboardRoutes } from './api/dashboard.js';
import { definitionRoutes } from './api/definitions.js';
import { diskRoutes } from './api/disks.js';
import { domainConfigRoutes } from './api/domain-config.js';
import { domainDiskRoutes, domainVifRoutes } from './api/domain-devices.js';
import { domainRoutes } from './api/domains.js';
import { eventRoutes, eventSocket } from './api/events.js';
import { FairTurns, installFairTurns } from './api/fair-turns.js';
import { healthRoutes } from './api/health.js';
import { hostRoutes } from './api/host.js';
import { installIdempotency } from './api/idempotency.js';
import { imageRoutes } from './api/images.js';
import { networkRoutes } from './api/networks.js';
import { installNotFound } from './api/not-found.js';
import { installOpenApi } from './api/openapi.js';
import { answerError, problem, sendProblem } from './api/problems.js';
import { recordingRoutes } from './api/recordings.js';
import { saveRoutes } from './api/saves.js';
import { symbolRoutes } from './api/symbols.js';
import { taskRoutes } from './api/tasks.js';
import { tokenRoutes } from './api/tokens.js';
import { traceRoutes, traceSocket } from './api/trace.js';
import { installWebSockets } from './api/websockets.js';
import { storeRoutes, storeSockets } from './api/xenstore.js';
import type { Services } from './domains/services.js';

const RATE_WINDOW_S = 10;

export interface AppOptions {
  /** Who may do what. */
  readonly access: Access;
  /** Bytes of a JSON body. */
  readonly bodyLimit: number;
  /** Bytes of an uploaded image. */
  readonly uploadLimit: number;
  /** Requests a second from one address, over ten seconds; 0 for any number. */
  readonly rateLimit: number;
  readonly patience: Patience;
  readonly logger?: FastifyBaseLogger;
}

export async function buildApp(services: Services, options: AppOptions): Promise<FastifyInstance> {
  const app = Fastify({
    bodyLimit: options.bodyLimit,
    genReqId: ({ headers }) => saneId(headers['x-request-id']) ?? randomUUID(),
    routerOptions: { ignoreTrailingSlash: true },
    forceCloseConnections: true,
    http: headersTimeout(options.patience),
    clientErrorHandler: answerClientError,
    frameworkErrors: (error, request, reply) => {
      reply.header('x-request-id', request.id);
      answerError(error, request, reply);
    },
    ...(options.logger && { loggerInstance: options.logger }),
  });
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  const turns = new FairTurns();
  installFairTurns(app, turns);
  installBodyTimeout(app, options.patience);
  installAccess(app, options.access);
  installDrain(app, services);
  await installRateLimit(app, options.rateLimit);
  installIdempotency(app);
  app.setErrorHandler(answerError);
  const sockets = [
    consoleSocket(services),
    traceSocket(services),
    eventSocket(services),
    ...storeSockets(services),
  ];
  installNotFound(
    app,
    sockets.map(({ url }) => url),
  );
  await installOpenApi(app, sockets);
  await app.register(domainRoutes(services));
  await app.register(symbolRoutes(services));
  await app.register(definitionRoutes(services));
  await app.register(domainConfigRoutes(services));
  await app.register(consoleRoutes(services));
  await app.register(imageRoutes(services, options.uploadLimit));
  await app.register(diskRoutes(services));
  await app.register(domainDiskRoutes(services));
  await app.register(domainVifRoutes(services));
  await app.register(networkRoutes(services));
  await app.register(taskRoutes(services));
  await app.register(eventRoutes(services));
  await app.register(coreRoutes(services));
  await app.register(saveRoutes(services));
  await app.register(traceRoutes(services));
  await app.register(recordingRoutes(services));
  await app.register(hostRoutes(services));
  await app.register(healthRoutes(services));
  await app.register(storeRoutes(services));
  await app.register(dashboardRoutes);
  await app.register(tokenRoutes(services));
  installWebSockets(app, sockets, options.access, turns);
  return app;
}

/** The request's id as the client has it, if that can stand in a log. */
const saneId = (id: string | string[] | undefined): string | undefined =>
  typeof id === 'string' && /^[\w.:-]{1,128}$/.test(id) ? id : undefined;

/** Once the service is to stop, what is there can be read, and nothing new is begun. */
function installDrain(app: FastifyInstance, { readiness }: Services): void {
  app.addHook('onRequest', async (request, reply) => {
    if (!readiness.isStopping || request.method === 'GET' || request.method === 'HEAD') return;
    reply.headers({ 'retry-after': '5', connection: 'close' });
    await sendProblem(reply, problem('stopping', 'The service is about to stop.', request));
  });
}

async function installRateLimit(app: FastifyInstance, perSecond: number): Promise<void> {
  if (perSecond === 0) return;
  await app.register(rateLimit, {
    max: perSecond * RATE_WINDOW_S,
    timeWindow: RATE_WINDOW_S * 1000,
    errorResponseBuilder: (_request, { after, statusCode }) =>
      Object.assign(new Error(`Too many requests; try again in ${after}.`), { statusCode }),
  });
}
