/**
 * Transcripts: rows of (connection, transaction, request, what comes back), played in any world.
 *
 *   ['A', 0, 'WRITE /a|x', 'OK|', 'B! /a|token|']
 *
 * `|` stands for NUL, as in xenstore.txt. Connections A, B, C are privileged; d5 is the ring of domain 5, which exists
 * and is introduced beforehand. What comes back, in order: to the sender a reply, `-ENOENT` for an error, `! path|token|`
 * for an event; then events to others, `B! path|token|`. Rows with '*' as connection tell the world: 'domain 5 shuts down',
 * 'domain 5 is gone', 'domain 5 exists'.
 */
import { XS } from '../../hypervisor/public/io/xs-wire.js';
import type { Packet } from '../../xenstore/protocol/packet.js';
import type { Wire } from './wire.js';
import type { World } from './world.js';

/** What C xenstored does instead, and why we differ. */
export interface Differs {
  readonly c: readonly string[];
  readonly because: string;
}

export type Row = readonly [
  connection: string,
  transaction: number,
  request: string,
  ...expected: (string | Differs)[],
];

export interface Transcript {
  /** Number of the rule in xenstore.md. */
  readonly rule: number;
  readonly title: string;
  readonly rows: readonly Row[];
  /** Cannot be played against C xenstored, and why. */
  readonly oursOnly?: string;
}

export const transcript = (
  rule: number,
  title: string,
  rows: readonly Row[],
  oursOnly?: string,
): Transcript => ({ rule, title, rows, ...(oursOnly === undefined ? {} : { oursOnly }) });

/** The rows as they really went: the same rows with what came back in the place of what was expected. */
export async function play(world: World, script: Transcript): Promise<(readonly string[])[]> {
  const stage = new Stage(world);
  await stage.introduceGuests(script.rows.map(([connection]) => connection));
  const seen: (readonly string[])[] = [];
  for (const [connection, transaction, request] of script.rows) {
    const outcome =
      connection === '*'
        ? await stage.tell(request)
        : await stage.send(connection, transaction, request);
    seen.push([connection, String(transaction), abbreviate(request), ...outcome.map(abbreviate)]);
  }
  return seen;
}

/** The rows as they should go in that world. */
export const expected = (world: World, script: Transcript): (readonly string[])[] =>
  script.rows.map(([connection, transaction, request, ...outcome]) => {
    const differs = outcome.find((one) => typeof one !== 'string');
    const ours = outcome.filter((one) => typeof one === 'string');
    const right = differs !== undefined && world.name === 'C xenstored' ? differs.c : ours;
    return [connection, String(transaction), abbreviate(request), ...right.map(abbreviate)];
  });

const LONG = 200;

/** Long payloads are compared by length and ends. */
const abbreviate = (text: string): string =>
  text.length <= LONG
    ? text
    : `${text.slice(0, 60)}…${text.slice(-60)} (${text.length} characters)`;

class Stage {
  readonly #world: World;
  readonly #wires = new Map<string, Wire>();
  #director: Wire | undefined;

  constructor(world: World) {
    this.#world = world;
  }

  async introduceGuests(names: readonly string[]): Promise<void> {
    this.#director = await this.#world.privileged();
    for (const name of new Set(names)) {
      if (!/^d\d+$/.test(name)) continue;
      const domid = Number(name.slice(1));
      this.#world.createDomain(domid);
      await this.#director.request(XS.INTRODUCE, `${domid}\0${domid}\0${domid}\0`);
      this.#wires.set(name, await this.#world.guest(domid));
    }
  }

  async tell(text: string): Promise<string[]> {
    const [, domid, ...words] = text.split(' ');
    const what = words.join(' ');
    if (what === 'exists') this.#world.createDomain(Number(domid));
    else if (what === 'connects') {
      this.#wires.set(`d${domid}`, await this.#world.guest(Number(domid)));
    } else this.#world.domainEvent(Number(domid), what === 'shuts down' ? 's' : 'gone');
    if (what === 'is gone') {
      this.#wires.get(`d${domid}`)?.close();
      this.#wires.delete(`d${domid}`);
    }
    // The daemon hears of it on its own: give it the time to.
    for (let i = 0; i < 5; i++) {
      await new Promise((resolve) => setTimeout(resolve, 4));
      await this.#director?.settle();
    }
    return this.#eventsOfOthers('');
  }

  async send(name: string, transaction: number, request: string): Promise<string[]> {
    const wire = await this.#wire(name);
    const { type, body } = parseRequest(request);
    const packets = await wire.until(wire.send(type, body, transaction));
    const late = await wire.settle();
    return [...packets, ...late].map(showPacket).concat(await this.#eventsOfOthers(name));
  }

  async #eventsOfOthers(sender: string): Promise<string[]> {
    const events: string[] = [];
    for (const name of [...this.#wires.keys()].sort()) {
      if (name === sender) continue;
      const packets = await (this.#wires.get(name) as Wire).settle();
      events.push(...packets.map((packet) => `${name}${showPacket(packet)}`));
    }
    return events;
  }

  async #wire(name: string): Promise<Wire> {
    const known = this.#wires.get(name);
    if (known !== undefined) return known;
    const made = await this.#world.privileged();
    this.#wires.set(name, made);
    return made;
  }
}

/** "WRITE /a|x" or "#42 body": a type by name or number. */
function parseRequest(text: string): { type: number; body: string } {
  const space = text.indexOf(' ');
  const name = space < 0 ? text : text.slice(0, space);
  const type = name.startsWith('#') ? Number(name.slice(1)) : XS[name as keyof typeof XS];
  if (type === undefined) throw new Error(`no such message: ${name}`);
  return { type, body: space < 0 ? '' : text.slice(space + 1).replaceAll('|', '\0') };
}

function showPacket({ type, body }: Packet): string {
  const text = body.replaceAll('\0', '|');
  if (type === XS.ERROR) return `-${text.slice(0, -1)}`;
  return type === XS.WATCH_EVENT ? `! ${text}` : text;
}
