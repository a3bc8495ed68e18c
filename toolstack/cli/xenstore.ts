/** xenstore-ls, -read, -write, -list, -exists, -rm, -chmod and -watch, with the output of Xen's tools. */

import type { Command } from 'commander';
import type { RawData } from 'ws';
import { StoreNode } from '../schemas/xenstore.js';
import { type Client, Refusal, UserError } from './client.js';
import { type Connect, type Output, print, printJson } from './command.js';
import { whole } from './numbers.js';

/** Relative paths are domain 0's, as for Xen's tools. */
const absolute = (path: string): string =>
  path.startsWith('/') ? path : `/local/domain/0/${path}`;
const nodeUrl = (path: string): string =>
  `/v1/xenstore${absolute(path).replace(/\/$/, '').split('/').map(encodeURIComponent).join('/')}`;
const read = (client: Client, path: string, depth: number): Promise<StoreNode> =>
  client.json(StoreNode, 'GET', `${nodeUrl(path)}?depth=${depth}`);

export function addStoreCommands(xl: Command, connect: Connect): void {
  addReaders(xl, connect);
  addWriters(xl, connect);
  xl.command('xenstore-watch')
    .description('print each path that changes at or below a node')
    .argument('[path]', undefined, '/')
    .option('-n <count>', 'stop after so many')
    .option('--json', 'as JSON lines')
    .action(async (path: string, options: Output & { n?: string }) => {
      const query = new URLSearchParams({ path: absolute(path) });
      const socket = await connect().socket(`/v1/xenstore/watch?${query}`);
      let left =
        options.n === undefined
          ? Number.POSITIVE_INFINITY
          : whole(options.n, 'a number of changes');
      socket.on('message', (data: RawData) => {
        const { path: changed } = JSON.parse(String(data)) as { path?: string };
        if (changed === undefined || left <= 0) return;
        print(options.json ? JSON.stringify({ path: changed }) : changed);
        left -= 1;
        if (left === 0) socket.close();
      });
      socket.resume();
      await new Promise((resolve) => socket.on('close', resolve));
    });
}

function addReaders(xl: Command, connect: Connect): void {
  xl.command('xenstore-ls')
    .description('print a node and all below it')
    .argument('[path]', undefined, '/')
    .option('-f', 'whole paths')
    .option('-p', 'permissions')
    .option('--json', 'as JSON')
    .action(async (path: string, options: LsOptions & Output) => {
      const node = await read(connect(), path, 256);
      if (options.json) printJson(node);
      else for (const line of listing(node, 0, options)) print(line);
    });
  xl.command('xenstore-read')
    .description('print the values of nodes')
    .argument('<path...>')
    .option('--json', 'as JSON')
    .action(async (paths: string[], options: Output) => {
      const client = connect();
      const nodes = await Promise.all(paths.map((path) => read(client, path, 0)));
      if (options.json)
        printJson(Object.fromEntries(nodes.map(({ path, value }) => [path, value])));
      else for (const { value } of nodes) print(value);
    });
  xl.command('xenstore-list')
    .description('print the names of the children of nodes')
    .argument('<path...>')
    .option('--json', 'as JSON')
    .action(async (paths: string[], options: Output) => {
      const client = connect();
      const nodes = await Promise.all(paths.map((path) => read(client, path, 1)));
      const names = nodes.flatMap(({ children = [] }) => children.map(({ name }) => name));
      if (options.json) printJson(names);
      else for (const name of names) print(name);
    });
  xl.command('xenstore-exists')
    .description('exit status 0 if all nodes exist, 1 if not')
    .argument('<path...>')
    .option('--json', 'print which do as JSON')
    .action(async (paths: string[], { json }: Output) => {
      const client = connect();
      const found = new Map<string, boolean>();
      for (const path of paths) found.set(path, await exists(client, path));
      if (json) printJson(Object.fromEntries(found));
      if ([...found.values()].includes(false)) process.exitCode = 1;
    });
}

async function exists(client: Client, path: string): Promise<boolean> {
  try {
    await read(client, path, 0);
    return true;
  } catch (error) {
    if (error instanceof Refusal && error.status === 404) return false;
    throw error;
  }
}

function addWriters(xl: Command, connect: Connect): void {
  xl.command('xenstore-write')
    .description('write values to nodes')
    .argument('<path value...>')
    .option('--json', 'print the nodes as JSON')
    .action(async (words: string[], { json }: Output) => {
      if (words.length % 2 !== 0) throw new UserError('each path needs a value');
      const client = connect();
      const nodes: StoreNode[] = [];
      for (let i = 0; i < words.length; i += 2) {
        const url = nodeUrl(words[i] ?? '');
        nodes.push(await client.json(StoreNode, 'PUT', url, { value: words[i + 1] }));
      }
      if (json) printJson(nodes);
    });
  xl.command('xenstore-rm')
    .description('remove nodes with all below them')
    .argument('<path...>')
    .action(async (paths: string[]) => {
      const client = connect();
      for (const path of paths) await client.remove(nodeUrl(path));
    });
  xl.command('xenstore-chmod')
    .description('set the permissions of a node, such as n0 r3')
    .argument('<path>')
    .argument('<permission...>')
    .option('--json', 'print the node as JSON')
    .action(async (path: string, permissions: string[], { json }: Output) => {
      const client = connect();
      await read(client, path, 0);
      const node = await client.json(StoreNode, 'PUT', nodeUrl(path), { permissions });
      if (json) printJson(node);
    });
}

interface LsOptions {
  readonly f?: true;
  readonly p?: true;
}

/** As xenstore-ls prints: children indented by a space, values in quotes, permissions behind. */
function listing(node: StoreNode, depth: number, options: LsOptions): string[] {
  return (node.children ?? []).flatMap((child) => {
    const name = options.f ? child.path : `${' '.repeat(depth)}${child.name}`;
    const permissions = options.p ? `   (${child.permissions.join(',')})` : '';
    return [
      `${name} = ${JSON.stringify(child.value)}${permissions}`,
      ...listing(child, depth + 1, options),
    ];
  });
}
