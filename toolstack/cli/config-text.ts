/**
 * The text of an xl configuration: `key = value`, where a value is a "string", a number or a [list] of values; `+=` adds to what
 * was set before. Statements end with their line or a semicolon; within a list lines do not count. Spec: xl.cfg(5), SYNTAX.
 */

import { UserError } from './client.js';

/** A number comes as it is written: whoever wants one reads it, as a string may hold one, too. */
export type Value = string | readonly Value[];

/** A value and where it was set, for messages. */
export interface Setting {
  readonly value: Value;
  readonly where: string;
}
export type Settings = ReadonlyMap<string, Setting>;

const STRING = /"((?:[^"\\\n]|\\.)*)"|'((?:[^'\\\n]|\\.)*)'/y;
const NUMBER = /0x[0-9a-fA-F]+(?![\w.])|-?\d+(?:\.\d+)?(?![\w.])/y;
const KEY = /([A-Za-z_]\w*)[ \t]*(\+?=)[ \t]*/y;
/** Blanks and comments, within a line and across lines. */
const INLINE = /(?:[ \t\r]|#[^\n]*)*/y;
const ANYWHERE = /(?:\s|#[^\n]*)*/y;
const BETWEEN = /(?:[\s;]|#[^\n]*)*/y;
const END = /\n|;|$/y;

/** What stands for a character behind a backslash: its number, or one of these. */
const ESCAPE = /\\(x[0-9a-fA-F]{1,2}|[0-7]{1,3}|.)/gs;
// biome-ignore format: one row per escape
const ESCAPED: Readonly<Record<string, string>> = {
  a: '\x07', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v', '\\': '\\', '"': '"', "'": "'",
};

class Reader {
  readonly #text: string;
  readonly #source: string;
  #at = 0;

  constructor(text: string, source: string) {
    this.#text = text;
    this.#source = source;
  }

  get where(): string {
    const line = this.#text.slice(0, this.#at).split('\n').length;
    return `${this.#source}:${line}`;
  }

  get atEnd(): boolean {
    return this.#at >= this.#text.length;
  }

  take(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#text);
    if (match === null) return undefined;
    this.#at = pattern.lastIndex;
    return match;
  }

  takeText(text: string): boolean {
    if (!this.#text.startsWith(text, this.#at)) return false;
    this.#at += text.length;
    return true;
  }
}

/** @param source its name, for messages. */
export function parseConfig(text: string, source: string): Settings {
  const reader = new Reader(text, source);
  const settings = new Map<string, Setting>();
  reader.take(BETWEEN);
  while (!reader.atEnd) {
    const { where } = reader;
    const [, key, operator] = reader.take(KEY) ?? [];
    const value = key === undefined ? undefined : parseValue(reader);
    reader.take(INLINE);
    if (key === undefined || value === undefined || !reader.take(END)) throw notASetting(where);
    const before = operator === '+=' ? settings.get(key)?.value : undefined;
    settings.set(key, { value: added(before, value, where), where });
    reader.take(BETWEEN);
  }
  return settings;
}

/**
 * Arguments go over the file's settings. Each may hold several, as a file does; if it is none, it is `key=value` whose value is
 * taken as it is, so that a shell may have eaten the quotes.
 */
export function applyArguments(settings: Settings, words: readonly string[]): Settings {
  const all = new Map(settings);
  for (const word of words) {
    for (const [key, { value }] of parseArgument(word)) all.set(key, { value, where: word });
  }
  return all;
}

function parseArgument(word: string): Iterable<readonly [string, { readonly value: Value }]> {
  try {
    return parseConfig(word, word);
  } catch (error) {
    const [, key, value = ''] = /^([A-Za-z_]\w*)\s*=\s*(.*)$/s.exec(word) ?? [];
    if (key === undefined) throw notASetting(word);
    if (!(error instanceof UserError)) throw error;
    return [[key, { value }]];
  }
}

/** Strings and lists grow at their end. */
function added(before: Value | undefined, value: Value, where: string): Value {
  if (before === undefined) return value;
  if (typeof before === 'string' && typeof value === 'string') return before + value;
  if (typeof before === 'object' && typeof value === 'object') return [...before, ...value];
  throw new UserError(`${where}: += adds a list to a list, a string to a string`);
}

function parseValue(reader: Reader): Value | undefined {
  const text = parseString(reader);
  if (text !== undefined) return text;
  const number = reader.take(NUMBER)?.[0];
  if (number !== undefined) return number;
  return reader.takeText('[') ? parseList(reader) : undefined;
}

function parseString(reader: Reader): string | undefined {
  const { where } = reader;
  const match = reader.take(STRING);
  return (match?.[1] ?? match?.[2])?.replace(ESCAPE, (whole: string, code: string) => {
    const byte = code.startsWith('x') ? code.slice(1) : code;
    const number = Number.parseInt(byte, code.startsWith('x') ? 16 : 8);
    const character = ESCAPED[code] ?? (Number.isNaN(number) ? '' : String.fromCharCode(number));
    if (character === '' || number === 0) throw new UserError(`${where}: ${whole} is no escape`);
    return character;
  });
}

function parseList(reader: Reader): Value[] | undefined {
  const items: Value[] = [];
  for (;;) {
    reader.take(ANYWHERE);
    if (reader.takeText(']')) return items;
    const item = parseValue(reader);
    if (item === undefined) return undefined;
    items.push(item);
    reader.take(ANYWHERE);
    if (!reader.takeText(',')) return reader.takeText(']') ? items : undefined;
  }
}

const notASetting = (where: string): UserError =>
  new UserError(`${where}: expected key = "string", number or [ list ]`);
