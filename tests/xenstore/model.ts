/**
 * The reference model: XenStore as plainly as it can be said. A flat map from path to node, lists that are searched
 * from end to end, transactions that copy what they touch. Slow, obvious, and written without looking at the server.
 */

export interface ModelNode {
  value: string;
  /** "n0", "r5"…; the first is the owner. */
  permissions: string[];
  children: string[];
  generation: number;
}

interface Touched {
  readonly path: string;
  readonly seen: number | undefined;
  now: ModelNode | undefined;
  written: boolean;
  fires: 'no' | 'yes' | 'exactly';
  before: string[] | undefined;
}

export interface ModelWatch {
  readonly connection: string;
  readonly path: string;
  readonly token: string;
}

/** What a request brings: the reply, and events per connection in order. */
export interface ModelOutcome {
  reply: string;
  events: { connection: string; path: string; token: string }[];
}

class Refusal extends Error {}

const refuse = (code: string): never => {
  throw new Refusal(code);
};

const parentOf = (path: string): string => path.slice(0, path.lastIndexOf('/')) || '/';
const nameOf = (path: string): string => path.slice(path.lastIndexOf('/') + 1);
const join = (path: string, name: string): string =>
  path === '/' ? `/${name}` : `${path}/${name}`;
const copy = (node: ModelNode): ModelNode => ({
  ...node,
  permissions: [...node.permissions],
  children: [...node.children],
});

export class Model {
  readonly nodes = new Map<string, ModelNode>();
  readonly watches: ModelWatch[] = [];
  readonly transactions = new Map<string, Map<string, Touched>>();
  readonly #nextId = new Map<string, number>();
  readonly #domains: Readonly<Record<string, number>>;
  #generation = 0;
  #events: ModelOutcome['events'] = [];

  /** @param domains the domain of each connection */
  constructor(domains: Readonly<Record<string, number>>) {
    this.#domains = domains;
    const make = (path: string, children: string[]): void => {
      this.nodes.set(path, { value: '', permissions: ['n0'], children, generation: 0 });
    };
    make('/', ['tool']);
    make('/tool', ['xenstored']);
    make('/tool/xenstored', []);
  }

  /** @param id of a transaction, 0 for none */
  request(connection: string, id: number, op: string, args: readonly string[]): ModelOutcome {
    this.#events = [];
    let reply: string;
    try {
      reply = this.#perform(connection, id, op, args);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      reply = `-${error.message}`;
    }
    return { reply, events: this.#events };
  }

  #perform(connection: string, id: number, op: string, args: readonly string[]): string {
    const [path = '', arg = ''] = args;
    if (op === 'WATCH') return this.#watch(connection, path, arg);
    if (op === 'UNWATCH') return this.#unwatch(connection, path, arg);
    const key = `${connection} ${id}`;
    const transaction = this.transactions.get(key);
    if (id !== 0 && transaction === undefined) refuse('ENOENT');
    if (op === 'TRANSACTION_START') return this.#start(connection, id);
    if (op === 'TRANSACTION_END') {
      if (transaction === undefined) return refuse('ENOENT');
      this.transactions.delete(key);
      if (path === 'T') this.#commit(transaction);
      return 'OK|';
    }
    const at = new Access(this, transaction, this.#domains[connection] ?? 0);
    return OPERATIONS[op]?.(at, path, arg) ?? 'OK|';
  }

  #start(connection: string, id: number): string {
    if (id !== 0) refuse('EBUSY');
    const next = (this.#nextId.get(connection) ?? 0) + 1;
    this.#nextId.set(connection, next);
    this.transactions.set(`${connection} ${next}`, new Map());
    return `${next}|`;
  }

  nextGeneration(): number {
    this.#generation += 1;
    return this.#generation;
  }

  rights(domid: number, permissions: readonly string[]): string {
    const [owner = 'n0', ...others] = permissions;
    if (domid === 0 || owner.slice(1) === String(domid)) return 'rwo';
    const letter = (others.find((text) => text.slice(1) === String(domid)) ?? owner)[0];
    return { r: 'r', w: 'w', b: 'rw' }[letter ?? 'n'] ?? '';
  }

  /** Tells all watches at or above `path`; for `exactly` only those at it. */
  tell(
    path: string,
    how: 'yes' | 'exactly',
    mayKnow: readonly (readonly string[] | undefined)[],
  ): void {
    for (const watch of this.watches) {
      const above = watch.path === '/' || path.startsWith(`${watch.path}/`);
      if (watch.path !== path && (how === 'exactly' || !above)) continue;
      const domid = this.#domains[watch.connection] ?? 0;
      const readable = mayKnow.some((list) => list && this.rights(domid, list).includes('r'));
      if (domid === 0 || readable)
        this.#events.push({ connection: watch.connection, path, token: watch.token });
    }
  }

  #watch(connection: string, path: string, token: string): string {
    const same = (watch: ModelWatch): boolean =>
      watch.connection === connection && watch.path === path && watch.token === token;
    if (this.watches.some(same)) refuse('EEXIST');
    this.watches.push({ connection, path, token });
    this.#events.push({ connection, path, token });
    return 'OK|';
  }

  #unwatch(connection: string, path: string, token: string): string {
    const index = this.watches.findIndex(
      (watch) => watch.connection === connection && watch.path === path && watch.token === token,
    );
    if (index < 0) refuse('ENOENT');
    this.watches.splice(index, 1);
    return 'OK|';
  }

  #commit(transaction: Map<string, Touched>): void {
    for (const { path, seen } of transaction.values()) {
      if (this.nodes.get(path)?.generation !== seen) refuse('EAGAIN');
    }
    for (const { path, now, written } of transaction.values()) {
      if (!written) continue;
      if (now === undefined) this.nodes.delete(path);
      else this.nodes.set(path, { ...now, generation: this.nextGeneration() });
    }
    for (const { path, seen, now, fires, before } of transaction.values()) {
      if (fires === 'no' || (seen === undefined && now === undefined)) continue;
      const lists = [
        before,
        this.nodes.get(path)?.permissions,
        this.nodes.get(parentOf(path))?.permissions,
      ];
      this.tell(path, fires, lists);
    }
  }
}

const list = (strings: readonly string[]): string => strings.map((text) => `${text}|`).join('');
const owner = (permissions: readonly string[]): string => (permissions[0] ?? '').slice(1);

/** Operations on nodes; a string is the reply, nothing is OK. */
const OPERATIONS: Readonly<
  Record<string, (at: Access, path: string, arg: string) => string | undefined>
> = {
  READ: (at, path) => at.require(path, 'r').value,
  DIRECTORY: (at, path) => list(at.require(path, 'r').children),
  GET_PERMS: (at, path) => list(at.require(path, 'r').permissions),
  MKDIR(at, path) {
    if (at.writable(path) !== undefined) return undefined;
    at.create(path, '');
    at.fire(path, 'yes');
    return undefined;
  },
  WRITE(at, path, value) {
    const node = at.writable(path);
    if (node === undefined) at.create(path, value);
    else at.put(path, { ...node, value });
    at.fire(path, 'yes');
    return undefined;
  },
  RM(at, path) {
    const node = at.writable(path);
    if (path === '/') refuse('EINVAL');
    if (node !== undefined) at.remove(path);
    else if (at.get(parentOf(path)) === undefined) refuse('ENOENT');
    return undefined;
  },
  SET_PERMS(at, path, arg) {
    const node = at.require(path, 'wo');
    const permissions = arg.split(' ');
    if (at.domid !== 0 && owner(permissions) !== owner(node.permissions)) refuse('EPERM');
    at.put(path, { ...node, permissions });
    at.fire(path, 'yes', node.permissions);
    return undefined;
  },
};

/** The nodes as one requester sees them. */
class Access {
  readonly domid: number;
  readonly #model: Model;
  readonly #transaction: Map<string, Touched> | undefined;

  constructor(model: Model, transaction: Map<string, Touched> | undefined, domid: number) {
    this.#model = model;
    this.#transaction = transaction;
    this.domid = domid;
  }

  get(path: string): ModelNode | undefined {
    return this.#transaction === undefined ? this.#model.nodes.get(path) : this.#touch(path).now;
  }

  put(path: string, node: ModelNode): void {
    if (this.#transaction === undefined) {
      this.#model.nodes.set(path, { ...node, generation: this.#model.nextGeneration() });
      return;
    }
    const touched = this.#touch(path);
    touched.now = node;
    touched.written = true;
  }

  require(path: string, rights: string): ModelNode {
    const node = this.get(path);
    if (node !== undefined && this.#has(node, rights)) return node;
    const above = this.#nearestAbove(path);
    if (node !== undefined || (above !== undefined && !this.#hasSome(above, rights)))
      refuse('EACCES');
    return refuse('ENOENT');
  }

  /** The node if it may be written, undefined if it may be created. */
  writable(path: string): ModelNode | undefined {
    const node = this.get(path);
    if (node !== undefined && this.#has(node, 'w')) return node;
    const above = this.#nearestAbove(path);
    if (node !== undefined || above === undefined || !this.#has(above, 'w')) refuse('EACCES');
    return undefined;
  }

  create(path: string, value: string): void {
    const above = parentOf(path);
    if (this.get(above) === undefined) this.create(above, '');
    const parent = this.get(above) as ModelNode;
    const permissions = [...parent.permissions];
    if (this.domid !== 0) permissions[0] = `${permissions[0]?.[0]}${this.domid}`;
    this.put(path, { value, permissions, children: [], generation: 0 });
    this.put(above, {
      ...parent,
      children: [...parent.children.filter((name) => name !== nameOf(path)), nameOf(path)],
    });
  }

  remove(path: string): void {
    const above = this.get(parentOf(path)) ?? refuse('EINVAL');
    const doomed: { path: string; node: ModelNode; parent: ModelNode }[] = [];
    const collect = (at: string): void => {
      const node = this.get(at);
      const parent = this.get(parentOf(at));
      if (node === undefined || parent === undefined) return;
      for (const name of node.children) collect(join(at, name));
      doomed.push({ path: at, node, parent });
    };
    collect(path);
    for (const { path: at } of doomed) this.#drop(at);
    this.put(parentOf(path), {
      ...above,
      children: above.children.filter((name) => name !== nameOf(path)),
    });
    for (const { path: at, node, parent } of doomed) {
      const how = at === path ? 'yes' : 'exactly';
      if (this.#transaction === undefined) {
        this.#model.tell(at, how, [node.permissions, parent.permissions]);
      } else this.fire(at, how, node.permissions);
    }
  }

  fire(path: string, how: 'yes' | 'exactly', before?: string[]): void {
    if (this.#transaction === undefined) {
      const lists = [before, this.get(path)?.permissions, this.get(parentOf(path))?.permissions];
      this.#model.tell(path, how, lists);
      return;
    }
    const touched = this.#touch(path);
    touched.fires = how;
    touched.before ??= before;
  }

  #drop(path: string): void {
    if (this.#transaction === undefined) {
      this.#model.nodes.delete(path);
      return;
    }
    const touched = this.#touch(path);
    touched.now = undefined;
    touched.written = true;
  }

  #has(node: ModelNode, rights: string): boolean {
    const has = this.#model.rights(this.domid, node.permissions);
    return [...rights].every((right) => has.includes(right));
  }

  #hasSome(node: ModelNode, rights: string): boolean {
    const has = this.#model.rights(this.domid, node.permissions);
    return [...rights].some((right) => has.includes(right));
  }

  #nearestAbove(path: string): ModelNode | undefined {
    for (let at = path; at !== '/'; ) {
      at = parentOf(at);
      const node = this.get(at);
      if (node !== undefined) return node;
    }
    return undefined;
  }

  #touch(path: string): Touched {
    const transaction = this.#transaction as Map<string, Touched>;
    const known = transaction.get(path);
    if (known !== undefined) return known;
    const node = this.#model.nodes.get(path);
    const touched: Touched = {
      path,
      seen: node?.generation,
      now: node && copy(node),
      written: false,
      fires: 'no',
      before: undefined,
    };
    transaction.set(path, touched);
    return touched;
  }
}
