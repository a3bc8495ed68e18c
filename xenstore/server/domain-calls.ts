/** Handlers of the messages about domains. Spec: xenstore.txt, section "Domain management and xenstored communications". */
import { XS_DOMID } from '../../hypervisor/public/io/xs-wire.js';
import { failure } from '../protocol/errors.js';
import { domainPath } from '../store/path.js';
import { type Call, oneString, readNumber, stringsOf } from './call.js';
import type { DomainRecord } from './domains.js';

/** INTRODUCE <domid>|<mfn>|<port>| : again for the same domain: its ring, watches and transactions start anew. */
export function introduce(call: Call): void {
  const [domid, mfn, port] = stringsOf(call.packet.body).map(readNumber);
  if (domid === undefined || mfn === undefined || port === undefined || port <= 0) {
    throw failure('EINVAL');
  }
  call.server.introduce(domid, mfn, port);
}

/** RELEASE <domid>| : the reply first, then @releaseDomain, as in C. */
export function release(call: Call): void {
  const { domid } = requireDomain(call);
  call.connection.reply(call.packet, 'OK\0');
  call.server.domainDied(domid);
}

/** RESUME <domid>| : its next shutdown is announced again. */
export function resume(call: Call): void {
  requireDomain(call).shutdown = false;
}

/** SET_TARGET <domid>|<target>| */
export function setTarget(call: Call): void {
  const [domid, target] = stringsOf(call.packet.body).map(readNumber);
  if (domid === undefined || target === undefined) throw failure('EINVAL');
  const { domains } = call.server;
  const connection = domains.get(domid)?.connection;
  if (connection === undefined || domains.get(target)?.introduced !== true) throw failure('ENOENT');
  connection.target = target;
}

/** GET_DOMAIN_PATH <domid>| → <path>| ; junk reads as 0 (rule 13). */
export function getDomainPath(call: Call): string {
  return `${domainPath(readNumber(oneString(call.packet.body)))}\0`;
}

/** IS_DOMAIN_INTRODUCED <domid>| → T|F| */
export function isDomainIntroduced(call: Call): string {
  const domid = readNumber(oneString(call.packet.body));
  if (domid === XS_DOMID.SELF) return 'T\0';
  return call.server.domains.get(domid)?.introduced === true ? 'T\0' : 'F\0';
}

function requireDomain(call: Call): DomainRecord {
  const domid = readNumber(oneString(call.packet.body));
  if (domid === 0) throw failure('EINVAL');
  const domain = call.server.domains.get(domid);
  if (domain?.introduced !== true) throw failure('ENOENT');
  return domain;
}
