/** What xl's verbs share. */

import { Domain, DomainList } from '../schemas/domain.js';
import type { Client } from './client.js';

export type Connect = () => Client;

export const print = (text: string): void => void process.stdout.write(`${text}\n`);
export const printJson = (value: unknown): void => print(JSON.stringify(value, null, 2));

export const domainUrl = (id: string, rest = ''): string =>
  `/v1/domains/${encodeURIComponent(id)}${rest}`;
export const readDomain = (client: Client, id: string) => client.json(Domain, 'GET', domainUrl(id));

/** The domains named, or all. @param query of the list: "?ended=true". */
export const readDomains = async (client: Client, ids: readonly string[], query = '') =>
  ids.length > 0
    ? Promise.all(ids.map((id) => readDomain(client, id)))
    : (await client.json(DomainList, 'GET', `/v1/domains${query}`)).domains;

/** What each verb that prints or makes something takes. */
export interface Output {
  readonly json?: true;
}
