/** CONTROL: commands to the daemon itself. Spec: xenstore.txt, section "Miscellaneous". */
import { failure } from '../protocol/errors.js';
import { type Call, readNumber, stringsOf } from './call.js';
import { QUOTAS_NAMED } from './feature-calls.js';

interface Command {
  readonly run: (call: Call, args: readonly string[]) => string;
  /** Shown by help. */
  readonly usage: string;
}

// biome-ignore format: one row per command
const COMMANDS: Readonly<Record<string, Command>> = {
  'check':      { run: check,     usage: '' },
  'log':        { run: setLog,    usage: '[on|off]' },
  'logfile':    { run: logfile,   usage: '<file>' },
  'memreport':  { run: memreport, usage: '[<file>]' },
  'print':      { run: print,     usage: '<string>' },
  'quota':      { run: quota,     usage: '[set <name> <val>|<domid>]' },
  'quota-soft': { run: quotaSoft, usage: '[set <name> <val>]' },
  'help':       { run: help,      usage: '<no-parameters>' },
};

/** CONTROL <command>|[<parameters>|] → text for people. */
export function control(call: Call): string {
  const [name, ...args] = stringsOf(call.packet.body);
  const command = name === undefined ? undefined : COMMANDS[name];
  if (command === undefined) throw failure('EINVAL');
  return `${command.run(call, args)}\0`;
}

/** The tree cannot lose a node or keep an orphan: what is counted is what hangs on the root. */
function check({ server }: Call): string {
  const { counted, found } = server.checkStore();
  if (counted !== found) throw new Error(`${counted} nodes counted, ${found} found`);
  return 'OK';
}

function setLog({ server }: Call, [state, ...more]: readonly string[]): string {
  if (more.length > 0) throw failure('EINVAL');
  if (state === undefined) return `Log is ${server.logging ? 'on' : 'off'}\n`;
  if (state !== 'on' && state !== 'off') throw failure('EINVAL');
  server.logging = state === 'on';
  return 'OK';
}

/** Where the log goes is the host's business, not a client's. */
function logfile(_call: Call, args: readonly string[]): string {
  if (args.length !== 1) throw failure('EINVAL');
  throw failure('EROFS');
}

function memreport({ server }: Call, args: readonly string[]): string {
  if (args.length > 0) throw failure('EROFS');
  const { store, connections, watches } = server.inspect();
  const transactions = connections.reduce((sum, one) => sum + one.transactions.length, 0);
  const rows = [
    ['nodes', store.nodes],
    ['connections', connections.length],
    ['watches', watches],
    ['transactions', transactions],
    ['backlog bytes', connections.reduce((sum, one) => sum + one.backlog, 0)],
  ] as const;
  return rows.map(([label, value]) => `${label}: ${value}\n`).join('');
}

function print({ server }: Call, args: readonly string[]): string {
  const [text, ...more] = args;
  if (text === undefined || more.length > 0) throw failure('EINVAL');
  server.log(text);
  return 'OK';
}

function quota({ server }: Call, args: readonly string[]): string {
  if (args[0] === 'set') return setQuota(server, args);
  if (args.length > 1) throw failure('EINVAL');
  const domid = args[0] === undefined ? undefined : readNumber(args[0]);
  if (domid !== undefined && server.domains.get(domid) === undefined) throw failure('ENOENT');
  return domid === undefined ? showLimits(server) : showUse(server, domid);
}

function showLimits(server: Call['server']): string {
  const quotas = server.quotasOf();
  const rows = Object.entries(QUOTAS_NAMED).map(
    ([name, { key, text }]) => `${name.padEnd(17)}: ${pad(quotas[key])} ${text}\n`,
  );
  return `Quota settings:\n${rows.join('')}`;
}

function showUse(server: Call['server'], domid: number): string {
  const use = server.usageOf(domid);
  const rows = Object.entries(QUOTAS_NAMED).flatMap(([name, { key }]) => {
    const used = use[key];
    return used === undefined ? [] : [`${name.padEnd(16)}: ${pad(used)}\n`];
  });
  return `Domain ${domid}:\n${rows.join('')}`;
}

const pad = (value: number): string => String(value).padStart(8);

function setQuota(server: Call['server'], args: readonly string[]): string {
  const [, name, value, ...more] = args;
  const key = QUOTAS_NAMED[name ?? '']?.key;
  if (key === undefined || more.length > 0 || !/^\d{1,9}$/.test(value ?? '')) {
    throw failure('EINVAL');
  }
  server.setQuota(undefined, key, Number(value));
  return 'OK';
}

/** There are none: a domain is held by its hard quotas only. */
function quotaSoft(_call: Call, args: readonly string[]): string {
  if (args.length > 0) throw failure('EINVAL');
  return '';
}

function help(_call: Call, args: readonly string[]): string {
  if (args.length > 0) throw failure('EINVAL');
  const rows = Object.entries(COMMANDS).map(([name, { usage }]) => `${name.padEnd(15)} ${usage}\n`);
  return rows.join('');
}
