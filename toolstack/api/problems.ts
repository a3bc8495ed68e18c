/** Every error of the API as `application/problem+json` (RFC 9457): one table from code to status and title. */

import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import {
  hasZodFastifySchemaValidationErrors,
  isResponseSerializationError,
} from 'fastify-type-provider-zod';
import { CommandError, type ErrorCode } from '../domains/errors.js';
import { asCommandError } from '../domains/refusals.js';
import type { FieldProblem, Problem } from '../schemas/problem.js';

export const PROBLEM_TYPE = 'application/problem+json; charset=utf-8';

// biome-ignore format: one row per problem
const PROBLEMS: Record<ErrorCode | HttpCode, { status: number; title: string }> = {
  'bad-request':            { status: 400, title: 'The request cannot be understood' },
  'bad-value':              { status: 400, title: 'A field has a value it cannot have' },
  'digest-mismatch':        { status: 400, title: 'The body is not what was sent' },
  'no-token':               { status: 401, title: 'A token is needed' },
  'bad-token':              { status: 401, title: 'The token is not valid' },
  'forbidden-origin':       { status: 403, title: 'Not from there' },
  'forbidden-scope':        { status: 403, title: 'The token is of too small a scope' },
  'not-found':              { status: 404, title: 'No such resource' },
  'no-such-domain':         { status: 404, title: 'No such domain' },
  'no-such-image':          { status: 404, title: 'No such image' },
  'no-such-definition':     { status: 404, title: 'No such definition' },
  'no-such-node':           { status: 404, title: 'No such node' },
  'no-such-disk':           { status: 404, title: 'No such disk' },
  'no-such-device':         { status: 404, title: 'No such device' },
  'no-such-network':        { status: 404, title: 'No such network' },
  'no-such-forward':        { status: 404, title: 'No such forward' },
  'no-such-task':           { status: 404, title: 'No such task' },
  'no-such-core':           { status: 404, title: 'No such core' },
  'no-such-save':           { status: 404, title: 'No such saved domain' },
  'no-such-recording':      { status: 404, title: 'No such recording' },
  'no-such-token':          { status: 404, title: 'No such token' },
  'method-not-allowed':     { status: 405, title: 'The resource does not have this method' },
  'too-slow':               { status: 408, title: 'The request did not come in time' },
  'name-in-use':            { status: 409, title: 'The name is in use' },
  'image-in-use':           { status: 409, title: 'The image is in use' },
  'disk-exists':            { status: 409, title: 'The disk is there already' },
  'disk-in-use':            { status: 409, title: 'The disk is in use' },
  'device-exists':          { status: 409, title: 'The domain has such a device' },
  'core-exists':            { status: 409, title: 'There is such a core' },
  'save-exists':            { status: 409, title: 'There is such a saved domain' },
  'recording-exists':       { status: 409, title: 'There is such a recording' },
  'too-many':               { status: 409, title: 'There are too many already' },
  'wrong-state':            { status: 409, title: 'Not in this state' },
  'store-refused':          { status: 409, title: 'XenStore refused' },
  'in-flight':              { status: 409, title: 'The request is being carried out' },
  'precondition-failed':    { status: 412, title: 'It has been changed meanwhile' },
  'too-large':              { status: 413, title: 'The body is too large' },
  'disk-too-large':         { status: 413, title: 'The disk is too large' },
  'unsupported-media-type': { status: 415, title: 'The body is of a type that is not taken here' },
  'upgrade-required':       { status: 426, title: 'This is a WebSocket' },
  'bad-image':              { status: 422, title: 'The image cannot be booted' },
  'bad-save':               { status: 422, title: 'The saved domain cannot be restored' },
  'bad-disk':               { status: 422, title: 'The disk cannot be used' },
  'key-reused':             { status: 422, title: 'The key came with another request' },
  'too-many-requests':      { status: 429, title: 'Too many requests' },
  'headers-too-large':      { status: 431, title: 'The headers are too large' },
  'input-refused':          { status: 429, title: 'The guest does not read its console' },
  'internal':               { status: 500, title: 'A mistake of ours' },
  'hypervisor-refused':     { status: 502, title: 'The hypervisor refused' },
  'stopping':               { status: 503, title: 'The service is about to stop' },
  'busy':                   { status: 503, title: 'Too much is going on' },
  'hypervisor-gone':        { status: 503, title: 'The hypervisor is gone' },
  'unresponsive':           { status: 504, title: 'The kernel does not answer' },
  'no-space':               { status: 507, title: 'No room on the host' },
  'not-enough-memory':      { status: 507, title: 'Not enough memory' },
};

type HttpCode =
  | 'bad-request'
  | 'no-token'
  | 'bad-token'
  | 'forbidden-origin'
  | 'forbidden-scope'
  | 'not-found'
  | 'method-not-allowed'
  | 'too-slow'
  | 'headers-too-large'
  | 'too-large'
  | 'unsupported-media-type'
  | 'upgrade-required'
  | 'in-flight'
  | 'key-reused'
  | 'too-many-requests'
  | 'stopping'
  | 'internal';
export type ProblemCode = ErrorCode | HttpCode;

type Extras = Partial<Pick<Problem, 'errors' | 'errno' | 'errnoMeaning' | 'figures' | 'log'>>;

export function problem(
  code: ProblemCode,
  detail: string,
  request: { url: string; id: string },
  extras: Extras = {},
): Problem {
  const { status, title } = PROBLEMS[code];
  const instance = request.url.split('?', 1)[0] ?? request.url;
  return {
    type: `/problems/${code}`,
    title,
    status,
    detail,
    instance,
    requestId: request.id,
    ...extras,
  };
}

/** Answers an error: of a route, or of Fastify before there is one. */
export function answerError(
  error: FastifyError,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  const body = describe(error, request);
  if (body.status >= 500) request.log.error(error);
  return sendProblem(reply, body);
}

export function sendProblem(reply: FastifyReply, body: Problem): FastifyReply {
  // A string passes by the schema's serializer: the body of an error is the same for each route.
  return reply.code(body.status).type(PROBLEM_TYPE).serializer(String).send(JSON.stringify(body));
}

/** What a task has failed with. */
export function taskProblem(error: unknown, task: { url: string; id: string }): Problem {
  return describe(error as FastifyError, task);
}

function describe(error: FastifyError, request: { url: string; id: string }): Problem {
  const refused = asCommandError(error);
  if (refused instanceof CommandError) {
    return problem(refused.code, refused.message, request, refused.facts);
  }
  if (hasZodFastifySchemaValidationErrors(error)) {
    const errors = error.validation.map((issue) => fieldProblem(issue, error.validationContext));
    const detail = errors.map(({ pointer, detail }) => `${pointer || 'the body'}: ${detail}`);
    return problem('bad-value', detail.join('; '), request, { errors });
  }
  if (isResponseSerializationError(error)) {
    return problem('internal', 'The answer does not have the shape that is documented.', request);
  }
  return problem(httpCode(error), publicMessage(error), request);
}

interface Issue {
  readonly instancePath: string;
  readonly message?: string;
  readonly params?: unknown;
}

/** Query and path parameters are named `?name` and `:name`, fields of the body by JSON pointer. */
function fieldProblem(issue: Issue, context: string | undefined): FieldProblem {
  const prefix = context === 'querystring' ? '?' : context === 'params' ? ':' : '/';
  const path = issue.instancePath.replace(/^\//, '');
  const unknown = unknownKeys(issue);
  const field = [path, unknown[0]].filter((part) => part !== undefined && part !== '').join('/');
  const pointer = field === '' && prefix === '/' ? '' : prefix + field;
  const detail =
    unknown.length > 0 ? `unknown field ${unknown.join(', ')}` : (issue.message ?? 'invalid');
  return { pointer, detail };
}

function unknownKeys({ params }: Issue): string[] {
  const keys = typeof params === 'object' && params !== null && 'keys' in params ? params.keys : [];
  return Array.isArray(keys) ? keys.map(String) : [];
}

// biome-ignore format: one row per status
const BY_STATUS: Readonly<Record<number, HttpCode>> = {
  403: 'forbidden-origin',
  404: 'not-found',
  405: 'method-not-allowed',
  413: 'too-large',
  415: 'unsupported-media-type',
  426: 'upgrade-required',
  429: 'too-many-requests',
};

function httpCode({ statusCode = 500 }: FastifyError): HttpCode {
  return BY_STATUS[statusCode] ?? (statusCode < 500 ? 'bad-request' : 'internal');
}

function publicMessage(error: FastifyError): string {
  if ((error.statusCode ?? 500) >= 500)
    return 'The request could not be served; the log says more.';
  if (error.statusCode === 415) {
    return "Send JSON, with the header 'content-type: application/json' (curl --json does).";
  }
  return error.message;
}
