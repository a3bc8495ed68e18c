/**
 * The text of an xl configuration: `key = value`, where a value is a "string", a number or a [list] of strings.
 * Statements end with their line or a semicolon; within a list lines do not count. Spec: xl.cfg(5), SYNTAX.
 */

import { UserError } from './client.js';

export type Value = string | number | readonly string[];

/** A value and where it was set, for messages. */
export interface Setting {
  readonly value: Value;
  readonly where: string;
}
export type Settings = ReadonlyMap<string, Setting>;

const STRING = /"((?:[^"\\\n]|\\.)*)"|'((?:[^'\\\n]|\\.)*)'/y;
const NUMBER = /0x[0-9a-fA-F]+(?![\w.])|-?\d+(?:\.\d+)?(?![\w.])/y;
const KEY = /([A-Za-z_]\w*)[ \t]*=[ \t]*/y;
/** Blanks and comments, within a line and across lines. */
const INLINE = /(?:[ \t\r]|#[^\n]*)*/y;
const ANYWHERE = /(?:\s|#[^\n]*)*/y;
const BETWEEN = /(?:[\s;]|#[^\n]*)*/y;
const END = /\n|;|$/y;

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
    const key = reader.take(KEY)?.[1];
    const value = key === undefined ? undefined : parseValue(reader);
    reader.take(INLINE);
    if (key === undefined || value === undefined || !reader.take(END)) throw notASetting(where);
    settings.set(key, { value, where });
    reader.take(BETWEEN);
  }
  return settings;
}

/** `key=value` arguments go over the file's settings; what is no literal is taken for a string. */
export function applyArguments(settings: Settings, words: readonly string[]): Settings {
  const all = new Map(settings);
  for (const word of words) {
    const [, key, literal = ''] = /^([A-Za-z_]\w*)\s*=\s*(.*)$/s.exec(word) ?? [];
    if (key === undefined) throw notASetting(word);
    const reader = new Reader(literal, word);
    const value = parseValue(reader);
    all.set(key, { value: reader.atEnd && value !== undefined ? value : literal, where: word });
  }
  return all;
}

function parseValue(reader: Reader): Value | undefined {
  const text = parseString(reader);
  if (text !== undefined) return text;
  const number = reader.take(NUMBER)?.[0];
  if (number !== undefined) return Number(number);
  return reader.takeText('[') ? parseList(reader) : undefined;
}

function parseString(reader: Reader): string | undefined {
  const match = reader.take(STRING);
  return (match?.[1] ?? match?.[2])?.replace(/\\(.)/g, '$1');
}

function parseList(reader: Reader): string[] | undefined {
  const items: string[] = [];
  for (;;) {
    reader.take(ANYWHERE);
    if (reader.takeText(']')) return items;
    const item = parseString(reader);
    if (item === undefined) return undefined;
    items.push(item);
    reader.take(ANYWHERE);
    if (!reader.takeText(',')) return reader.takeText(']') ? items : undefined;
  }
}

const notASetting = (where: string): UserError =>
  new UserError(`${where}: expected key = "string", number or [ list ]`);
