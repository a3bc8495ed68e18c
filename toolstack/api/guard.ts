/**
 * Who may ask at all. A web page on another site can make a browser send requests to this machine, and by DNS rebinding even
 * under a name of its own; so the Host must be a name of loopback, and an Origin, where there is one, the same as the Host.
 */

import type { IncomingMessage } from 'node:http';

const LOOPBACK = new Set(['localhost', '127.0.0.1', '[::1]']);

/** @returns why the request is refused, undefined if it is not. */
export function refusal(request: IncomingMessage): string | undefined {
  const { host, origin } = request.headers;
  const name = host === undefined ? undefined : hostName(`http://${host}`);
  if (name === undefined || !LOOPBACK.has(name)) {
    return `The Host "${host ?? ''}" is not a name of this service.`;
  }
  if (origin !== undefined && origin !== `http://${host}`) {
    return `Requests from pages of ${origin} are not taken.`;
  }
  return undefined;
}

function hostName(url: string): string | undefined {
  try {
    return new URL(url).hostname;
  } catch {
    return undefined;
  }
}
