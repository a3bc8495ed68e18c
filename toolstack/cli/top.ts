/** xl top: the domains, again and again, as xentop shows them; on a screen, or as lines where there is none. */

import type { Command } from 'commander';
import { Host } from '../schemas/host.js';
import { type Client, UserError } from './client.js';
import { type Connect, type Output, print, readDomains } from './command.js';
import { Screen } from './screen.js';
import {
  COLUMNS,
  figuresOf,
  type Look,
  type Shown,
  sorted,
  summary,
  tableOf,
} from './top-table.js';

const DEFAULT_DELAY = '3';
const FOOTER = 'q quit  d delay  n b v r lines  <- -> columns  s sort: ';

interface TopOptions extends Output, Shown {
  readonly batch?: true;
  readonly delay: string;
  readonly iterations?: string;
}

export function addTop(xl: Command, connect: Connect): void {
  xl.command('top')
    .description('show what domains use, again and again; q or Esc quits')
    .option('-b, --batch', 'print lines; done anyway where there is no terminal')
    .option('-d, --delay <seconds>', 'between two looks', DEFAULT_DELAY)
    .option('-i, --iterations <count>', 'end after so many looks')
    .option('-f, --full-names', 'do not cut names off')
    .option('-n, --networks', 'a line per network interface')
    .option('-x, --vbds', 'a line per disk')
    .option('-v, --vcpus', 'a line with vCPUs')
    .option('-r, --repeat-header', 'the header above each domain')
    .option('--json', 'print each look as a line of JSON')
    .action(async (options: TopOptions) => {
      const looks = new Looks(connect(), {
        delay: secondsOf(options.delay),
        left: iterationsOf(options.iterations),
      });
      const isTerminal = process.stdin.isTTY === true && process.stdout.isTTY === true;
      if (options.json || options.batch || !isTerminal) await printLooks(looks, options);
      else await new TopScreen(looks, options).run();
    });
}

function secondsOf(text: string): number {
  const seconds = Number(text);
  if (seconds > 0 && seconds <= 86_400) return seconds;
  throw new UserError(`"${text}" is no delay in seconds`);
}

function iterationsOf(text: string | undefined): number {
  if (text === undefined) return Number.POSITIVE_INFINITY;
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new UserError(`"${text}" is no number of looks`);
}

/** Looks at the domains, one after the other. */
class Looks {
  /** Seconds between two. */
  delay: number;
  #left: number;
  readonly #client: Client;
  #last: Look | undefined;
  #wake: () => void = () => undefined;

  constructor(client: Client, { delay, left }: { delay: number; left: number }) {
    this.#client = client;
    this.delay = delay;
    this.#left = left;
  }

  /** @returns undefined when there is to be no more. */
  async next(): Promise<{ look: Look; before: Look | undefined } | undefined> {
    if (this.#left <= 0) return undefined;
    if (this.#last !== undefined) await this.#wait();
    if (this.#left <= 0) return undefined;
    this.#left -= 1;
    const [host, domains] = await Promise.all([
      this.#client.json(Host, 'GET', '/v1/host'),
      readDomains(this.#client, []),
    ]);
    const before = this.#last;
    this.#last = { at: performance.now(), host, domains };
    return { look: this.#last, before };
  }

  /** Looks at once. */
  hurry(): void {
    this.#wake();
  }

  stop(): void {
    this.#left = 0;
    this.#wake();
  }

  #wait(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, this.delay * 1000);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

async function printLooks(looks: Looks, options: TopOptions): Promise<void> {
  for (let next = await looks.next(); next; next = await looks.next()) {
    const rows = figuresOf(next.look, next.before);
    if (options.json) {
      const domains = rows.map(({ domain: _, ...figures }) => figures);
      print(JSON.stringify({ time: new Date().toISOString(), host: next.look.host, domains }));
    } else {
      print(tableOf(rows, COLUMNS, options).join('\n'));
    }
  }
}

const TOGGLES: Readonly<Record<string, keyof Shown>> = {
  n: 'networks',
  b: 'vbds',
  v: 'vcpus',
  r: 'repeatHeader',
};
/** q, Esc and ctrl-c. */
const QUIT: ReadonlySet<string> = new Set(['q', '\x1b', '\x03']);
/** Arrows, as terminals send them in either mode. */
const RIGHT: ReadonlySet<string> = new Set(['\x1b[c', '\x1boc']);
const LEFT: ReadonlySet<string> = new Set(['\x1b[d', '\x1bod']);

class TopScreen {
  readonly #looks: Looks;
  readonly #screen: Screen;
  #shown: Shown;
  #sortBy = 0;
  /** Columns that have been scrolled away, the name not counted. */
  #hidden = 0;
  /** Digits of a new delay, while it is being typed. */
  #typed: string | undefined;
  #page: { look: Look; before: Look | undefined } | undefined;

  constructor(looks: Looks, shown: Shown) {
    this.#looks = looks;
    this.#shown = shown;
    this.#screen = new Screen(
      (key) => this.#press(key),
      () => this.#draw(),
    );
  }

  /** Resolves when the user has quit, or when there is to be no more. */
  async run(): Promise<void> {
    try {
      for (let next = await this.#looks.next(); next; next = await this.#looks.next()) {
        this.#page = next;
        this.#draw();
      }
    } finally {
      this.#screen.close();
    }
  }

  #press(key: string): void {
    if (this.#typed === undefined) this.#command(key.toLowerCase());
    else this.#typeDelay(key, this.#typed);
    this.#draw();
  }

  #command(key: string): void {
    const toggled = TOGGLES[key];
    if (toggled !== undefined) this.#shown = { ...this.#shown, [toggled]: !this.#shown[toggled] };
    else if (QUIT.has(key)) this.#looks.stop();
    else if (key === 'd') this.#typed = '';
    else if (key === 's') this.#sortBy = (this.#sortBy + 1) % COLUMNS.length;
    else if (key === ' ') this.#looks.hurry();
    else if (RIGHT.has(key)) this.#hidden = Math.min(this.#hidden + 1, COLUMNS.length - 2);
    else if (LEFT.has(key)) this.#hidden = Math.max(0, this.#hidden - 1);
  }

  #typeDelay(key: string, typed: string): void {
    if (/[\d.]/.test(key)) this.#typed = typed + key;
    else if (key === '\x7f') this.#typed = typed.slice(0, -1);
    else {
      this.#typed = undefined;
      const seconds = Number(typed);
      if (key !== '\r' || !(seconds > 0)) return;
      this.#looks.delay = seconds;
      this.#looks.hurry();
    }
  }

  #draw(): void {
    if (this.#page === undefined) return;
    const { look, before } = this.#page;
    const [name, ...others] = COLUMNS;
    const sort = COLUMNS[this.#sortBy];
    if (name === undefined || sort === undefined) return;
    const rows = sorted(figuresOf(look, before), sort);
    const table = tableOf(rows, [name, ...others.slice(this.#hidden)], this.#shown);
    const room = this.#screen.rows - 4;
    const typing = this.#typed === undefined ? '' : `Delay(sec): ${this.#typed}`;
    this.#screen.draw([
      ...summary(look, new Date()),
      ...table.slice(0, room),
      ...Array.from({ length: Math.max(0, room - table.length) }, () => ''),
      typing || `${FOOTER}${sort.title}`,
    ]);
  }
}
