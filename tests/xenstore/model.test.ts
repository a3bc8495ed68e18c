/** Random sequences of requests from several connections: the server answers what the plain model answers. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { XS } from '../../hypervisor/public/io/xs-wire.js';
import { encodePacket } from '../../xenstore/protocol/packet.js';
import { PacketParser } from '../../xenstore/protocol/parser.js';
import { XenstoreServer } from '../../xenstore/server/server.js';
import { Model } from './model.js';

const DOMAINS = { A: 0, B: 0, d5: 5, d6: 6 } as const;
type Name = keyof typeof DOMAINS;
const NAMES = Object.keys(DOMAINS) as Name[];
const RUNS = Number(process.env['XENSTORE_MODEL_RUNS'] ?? 3000);

interface Step {
  readonly connection: Name;
  /** 0: no transaction; 1, 2: the oldest or another open one of the connection; 99: one that never was. */
  readonly id: number;
  readonly op: keyof typeof XS;
  readonly args: readonly string[];
}

// Few names, so that they meet often.
const path = fc
  .array(fc.constantFrom('a', 'b'), { minLength: 0, maxLength: 3 })
  .map((parts) => `/${parts.join('/')}`);
const value = fc.constantFrom('', 'x', 'yy');
const token = fc.constantFrom('s', 't');
const permissions = fc
  .tuple(
    fc.constantFrom('n0', 'r0', 'b0', 'n5', 'r6', 'b5'),
    fc.array(fc.constantFrom('r5', 'b5', 'n5', 'r6', 'b6', 'w6'), { maxLength: 2 }),
  )
  .map(([owner, others]) => [owner, ...others].join(' '));

const op = <Op extends keyof typeof XS>(name: Op, ...args: fc.Arbitrary<string>[]) =>
  fc.tuple(...args).map((values) => ({ op: name, args: values }));

const step: fc.Arbitrary<Step> = fc
  .tuple(
    fc.constantFrom<Name>('A', 'A', 'B', 'B', 'd5', 'd6'),
    fc.constantFrom(0, 0, 1, 1, 2, 99),
    fc.oneof(
      { weight: 6, arbitrary: op('WRITE', path, value) },
      { weight: 2, arbitrary: op('MKDIR', path) },
      { weight: 3, arbitrary: op('RM', path) },
      { weight: 4, arbitrary: op('READ', path) },
      { weight: 3, arbitrary: op('DIRECTORY', path) },
      { weight: 2, arbitrary: op('GET_PERMS', path) },
      { weight: 3, arbitrary: op('SET_PERMS', path, permissions) },
      { weight: 3, arbitrary: op('WATCH', path, token) },
      { weight: 1, arbitrary: op('UNWATCH', path, token) },
      { weight: 3, arbitrary: op('TRANSACTION_START') },
      { weight: 3, arbitrary: op('TRANSACTION_END', fc.constantFrom('T', 'T', 'T', 'F')) },
    ),
  )
  .map(([connection, id, { op: name, args }]) => ({
    connection,
    // A start within a transaction is refused: mostly uninteresting.
    id: name === 'TRANSACTION_START' ? 0 : id,
    op: name,
    args,
  }));

/** The server with its connections held by hand, in one thread and without delay. */
class Subject {
  readonly server = new XenstoreServer({ hooks: { domainExists: (domid) => domid < 10 } });
  readonly #received = new Map<Name, { type: number; text: string }[]>();
  readonly #connections = new Map<Name, ReturnType<XenstoreServer['connect']>>();

  constructor() {
    for (const name of NAMES) {
      const domid = DOMAINS[name];
      if (domid !== 0) this.server.introduce(domid, 1, 1);
      const parser = new PacketParser();
      const received: { type: number; text: string }[] = [];
      const connection = this.server.connect({
        domid,
        transport: 'model',
        send(bytes) {
          parser.push(bytes);
          while (parser.next() === 'packet') {
            const { type, body } = parser.packet;
            received.push({ type, text: body.replaceAll('\0', '|') });
          }
          return true;
        },
      });
      this.#received.set(name, received);
      this.#connections.set(name, connection);
    }
  }

  request({ connection, id, op: name, args }: Step) {
    const body = bodyOf(name, args);
    const bytes = encodePacket({ type: XS[name], reqId: 1, txId: id, body });
    this.#connections.get(connection)?.receive(bytes);
    let reply = '';
    const events: string[] = [];
    for (const to of NAMES) {
      for (const { type, text } of this.#received.get(to)?.splice(0) ?? []) {
        if (type === XS.WATCH_EVENT) events.push(`${to} ${text}`);
        else reply = type === XS.ERROR ? `-${text.slice(0, -1)}` : text;
      }
    }
    return { reply, events };
  }
}

function bodyOf(name: string, [first = '', second = '']: readonly string[]): string {
  if (name === 'WRITE') return `${first}\0${second}`;
  if (name === 'SET_PERMS') return `${first}\0${second.replaceAll(' ', '\0')}\0`;
  return second === '' && !name.includes('WATCH') ? `${first}\0` : `${first}\0${second}\0`;
}

/** Events per connection in order; between connections there is no order. */
const byConnection = (events: readonly { connection: string; path: string; token: string }[]) =>
  NAMES.flatMap((name) =>
    events
      .filter(({ connection }) => connection === name)
      .map(({ path: at, token: tag }) => `${name} ${at}|${tag}|`),
  );

/** How often it really came to something. */
const ends = { committed: 0, refused: 0, denied: 0 };

function count({ op: name, args }: Step, reply: string): void {
  if (name === 'TRANSACTION_END' && args[0] === 'T') {
    if (reply === 'OK|') ends.committed += 1;
    if (reply === '-EAGAIN') ends.refused += 1;
  }
  if (reply === '-EACCES') ends.denied += 1;
}

/** The id a step means: a number that exists at that moment, so that shrinking does not lose it. */
function resolve(model: Model, { connection, id }: Step): number {
  if (id === 0 || id === 99) return id;
  const open = [...model.transactions.keys()]
    .filter((key) => key.startsWith(`${connection} `))
    .map((key) => Number(key.slice(connection.length)));
  return open.length === 0 ? 0 : (open[(id - 1) % open.length] ?? 0);
}

function agree(steps: readonly Step[]): void {
  const subject = new Subject();
  const model = new Model(DOMAINS);
  for (const [index, given] of steps.entries()) {
    const one = { ...given, id: resolve(model, given) };
    const wanted = model.request(one.connection, one.id, one.op, one.args);
    const got = subject.request(one);
    count(one, got.reply);
    expect({ index, one, ...got }).toEqual({
      index,
      one,
      reply: wanted.reply,
      events: byConnection(wanted.events),
    });
  }
  const { counted, found } = subject.server.checkStore();
  expect(counted).toBe(found);
  expect(counted).toBe(model.nodes.size);
}

test(`${RUNS} random sequences agree with the model`, () => {
  const opening: Step[] = [
    { connection: 'A', id: 0, op: 'WRITE', args: ['/a', ''] },
    { connection: 'A', id: 0, op: 'SET_PERMS', args: ['/a', 'n0 b5 b6'] },
    { connection: 'B', id: 0, op: 'WATCH', args: ['/', 'all'] },
    { connection: 'd5', id: 0, op: 'WATCH', args: ['/a', 'mine'] },
  ];
  const sequence = fc.array(step, { minLength: 1, maxLength: 80, size: 'max' });
  fc.assert(
    fc.property(sequence, (steps) => agree([...opening, ...steps])),
    { numRuns: RUNS },
  );
  expect(ends.committed).toBeGreaterThan(RUNS / 5);
  expect(ends.refused).toBeGreaterThan(RUNS / 50);
  expect(ends.denied).toBeGreaterThan(RUNS / 2);
  console.log(`model: ${RUNS} sequences`, ends);
});
