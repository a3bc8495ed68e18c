/** xl uptime. */

import type { Command } from 'commander';
import type { Domain } from '../schemas/domain.js';
import { type Connect, type Output, print, printJson, readDomains } from './command.js';
import { DOMAIN0_NAME, isDomain0, readDomain0, wantsDomain0 } from './domain0.js';

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

interface Row {
  readonly name: string;
  readonly domid: number;
  readonly seconds: number;
}

export function addUptime(xl: Command, connect: Connect): void {
  xl.command('uptime')
    .description('print how long the host and its domains have been running')
    .option('-s, --short', 'without seconds, after the time of day')
    .argument('[domain...]')
    .option('--json', 'as JSON, in seconds')
    .action(async (ids: string[], { short, json }: Output & { short?: true }) => {
      const client = connect();
      const named = ids.filter((id) => !isDomain0(id));
      const domains = ids.length > 0 && named.length === 0 ? [] : await readDomains(client, named);
      const domain0 = wantsDomain0(ids) ? await readDomain0(client, domains) : undefined;
      const seconds = Math.floor(domain0?.uptimeSeconds ?? 0);
      const rows = [
        ...(domain0 ? [{ name: DOMAIN0_NAME, domid: 0, seconds }] : []),
        ...domains.map(rowOf),
      ];
      if (json) printJson(rows);
      else print((short ? rows.map(inShort) : [HEADER, ...rows.map(inFull)]).join('\n'));
    });
}

function rowOf({ name, domid, createdAt, endedAt }: Domain): Row {
  const until = endedAt === undefined ? Date.now() : Date.parse(endedAt);
  const seconds = Math.max(0, Math.floor((until - Date.parse(createdAt)) / 1000));
  return { name, domid, seconds };
}

const columns = (name: string, domid: string, uptime: string): string =>
  [name.padEnd(33), domid.padStart(4), uptime].join(' ');

const HEADER = columns('Name', 'ID', 'Uptime');

const inFull = ({ name, domid, seconds }: Row): string => {
  const rest = String(seconds % MINUTE).padStart(2, '0');
  return columns(name, String(domid), `${toMinutes(seconds)}:${rest}`);
};

function inShort({ name, domid, seconds }: Row): string {
  const now = new Date().toTimeString().slice(0, 8);
  return ` ${now} up ${toMinutes(seconds)}, ${name} (${domid})`;
}

function toMinutes(seconds: number): string {
  const days = Math.floor(seconds / DAY);
  const hours = String(Math.floor((seconds % DAY) / HOUR)).padStart(2);
  const minutes = String(Math.floor((seconds % HOUR) / MINUTE)).padStart(2, '0');
  const inDays = days === 0 ? '' : `${days} day${days === 1 ? '' : 's'}, `;
  return `${inDays}${hours}:${minutes}`;
}
