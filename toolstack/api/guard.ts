/**
 * From where may be asked at all. A web page on another site can make a browser send requests to this machine, and by DNS rebinding
 * even under a name of its own; so the Host must be a name of this service, and an Origin, where there is one, the same as the Host.
 */

import type { IncomingMessage } from 'node:http';

const LOOPBACK = ['localhost', '127.0.0.1', '[::1]'];
const IPV4_IN_IPV6 = /^::ffff:(?=\d+\.)/;

/**
 * @param hostNames that it has besides those of loopback and the address that the request came to.
 * @returns why the request is refused, undefined if it is not.
 */
export function refusal(
  request: IncomingMessage,
  hostNames: readonly string[],
): string | undefined {
  const { host, origin } = request.headers;
  const name = host === undefined ? undefined : hostName(`http://${host}`);
  const own = [...LOOPBACK, ...hostNames, addressOf(request)];
  if (name === undefined || !own.includes(name)) {
    return `The Host "${host ?? ''}" is not a name of this service.`;
  }
  if (origin !== undefined && origin !== `http://${host}` && origin !== `https://${host}`) {
    return `Requests from pages of ${origin} are not taken.`;
  }
  const { 'sec-fetch-site': site, 'sec-fetch-mode': mode } = request.headers;
  if (site === 'cross-site' && mode !== 'navigate') {
    return 'Requests from pages of other sites are not taken.';
  }
  return undefined;
}

/** The address that the client has connected to, as a URL has it. */
function addressOf({ socket }: IncomingMessage): string | undefined {
  const address = socket.localAddress?.replace(IPV4_IN_IPV6, '');
  return address?.includes(':') ? `[${address}]` : address;
}

function hostName(url: string): string | undefined {
  try {
    return new URL(url).hostname;
  } catch {
    return undefined;
  }
}
