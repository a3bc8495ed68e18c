/** A filter expression cut into words, operators and punctuation, each with its place. */

/** A filter that cannot be read: where, what would be right there, and what is there. */
export class ExpressionError extends Error {
  override readonly name = 'ExpressionError';
  /** Counts characters from 1. */
  readonly at: number;
  readonly expected: string;
  readonly found: string;

  constructor(at: number, expected: string, found: string) {
    super(`at character ${at}: expected ${expected}, found ${found}`);
    this.at = at;
    this.expected = expected;
    this.found = found;
  }
}

// biome-ignore format: one row per operator
export const OPERATORS = ['=', '!=', '<', '<=', '>', '>=', '~'] as const;
export type Operator = (typeof OPERATORS)[number];

type Sign = Operator | '(' | ')' | ',' | '&&' | '||' | '!';

export type Token =
  /** A bare word may be a name, a value or one of and, or, not; one in quotes is a value. */
  | { readonly kind: 'word'; readonly at: number; readonly text: string; readonly quoted: boolean }
  | { readonly kind: 'sign'; readonly at: number; readonly text: Sign }
  | { readonly kind: 'end'; readonly at: number };

/** Longer ones first. */
const SIGNS = ['&&', '||', '!=', '<=', '>=', '=', '<', '>', '~', '!', '(', ')', ','] as const;
/** What a bare word is made of. */
const BARE = /[^\s"'()=!<>~&|,]+/y;
const SPACE = /\s*/y;
/** The inside of quotes: anything but the quote, which a backslash makes ordinary. */
const QUOTED = { '"': /"((?:[^"\\]|\\.)*)"/sy, "'": /'((?:[^'\\]|\\.)*)'/sy } as const;

/** Throws ExpressionError if something is no token. */
export function tokensOf(text: string): Token[] {
  const tokens: Token[] = [];
  let at = skipSpace(text, 0);
  while (at < text.length) {
    const { token, length } = tokenAt(text, at);
    tokens.push(token);
    at = skipSpace(text, at + length);
  }
  tokens.push({ kind: 'end', at: text.length + 1 });
  return tokens;
}

function tokenAt(text: string, index: number): { token: Token; length: number } {
  const at = index + 1;
  const sign = SIGNS.find((each) => text.startsWith(each, index));
  if (sign !== undefined) return { token: { kind: 'sign', at, text: sign }, length: sign.length };
  const first = text[index];
  if (first === '"' || first === "'") {
    const [whole, inner] = matchAt(QUOTED[first], text, index) ?? [];
    if (whole === undefined || inner === undefined) {
      throw new ExpressionError(at, `a text that ends with ${first}`, 'the end of the filter');
    }
    const word = inner.replaceAll(/\\(.)/gs, '$1');
    return { token: { kind: 'word', at, text: word, quoted: true }, length: whole.length };
  }
  const [word] = matchAt(BARE, text, index) ?? [];
  if (word === undefined) throw new ExpressionError(at, 'a word or an operator', `"${first}"`);
  return { token: { kind: 'word', at, text: word, quoted: false }, length: word.length };
}

function matchAt(pattern: RegExp, text: string, index: number): RegExpExecArray | null {
  pattern.lastIndex = index;
  return pattern.exec(text);
}

const skipSpace = (text: string, index: number): number =>
  index + (matchAt(SPACE, text, index)?.[0].length ?? 0);

/** How a token is called in a refusal. */
export function describeToken(token: Token): string {
  if (token.kind === 'end') return 'the end of the filter';
  return `"${token.text}"`;
}

const isBare = (text: string): boolean => matchAt(BARE, text, 0)?.[0].length === text.length;

/** A word as it is written: in quotes where it needs them. */
export const writtenWord = (text: string): string =>
  text !== '' && isBare(text) ? text : `"${text.replaceAll(/["\\]/g, '\\$&')}"`;
