/**
 * Filter expressions of the trace: `call=mmu_update,mmuext_op and (errno=EINVAL or duration>10us)`.
 *
 *   filter = both { ("or" | "||") both }
 *   both   = one { ("and" | "&&") one }
 *   one    = ("not" | "!") one | "(" filter ")" | term
 *   term   = field operator value { "," value }          several values: any of them
 *
 * Fields are the rows of fields.ts. A value is a bare word, or a text in single or double quotes, in which a backslash makes the next character
 * ordinary. `a != b` is `not a = b`, also where a record has no such field; any other comparison with what is not there is false.
 */

import {
  describeToken,
  ExpressionError,
  OPERATORS,
  type Operator,
  type Token,
  tokensOf,
  writtenWord,
} from './expression-tokens.js';
import { compileTerm, FIELD_NAMES, isField, operatorsOf, ValueError } from './fields.js';

export interface Term {
  readonly kind: 'term';
  readonly field: string;
  readonly operator: Operator;
  readonly values: readonly string[];
}

export type Expression =
  | Term
  | { readonly kind: 'not'; readonly of: Expression }
  /** Two or more. */
  | { readonly kind: 'and' | 'or'; readonly of: readonly Expression[] };

/** Parentheses and negations within one another. */
const DEEPEST = 64;

/** Throws ExpressionError. */
export const parseExpression = (text: string): Expression => new Parser(text).whole();

class Parser {
  readonly #tokens: readonly Token[];
  #next = 0;
  #depth = 0;

  constructor(text: string) {
    this.#tokens = tokensOf(text);
  }

  whole(): Expression {
    const expression = this.#chain('or', '||', () => this.#both());
    if (this.#token.kind !== 'end') throw this.#unexpected('"and", "or" or the end');
    return expression;
  }

  #both(): Expression {
    return this.#chain('and', '&&', () => this.#one());
  }

  #chain(kind: 'and' | 'or', sign: '&&' | '||', part: () => Expression): Expression {
    const first = part();
    const of = [first];
    while (this.#takes(kind) || this.#takes(sign)) of.push(part());
    return of.length === 1 ? first : { kind, of };
  }

  #one(): Expression {
    if (this.#takes('(')) {
      return this.#deeper(() => {
        const inner = this.#chain('or', '||', () => this.#both());
        if (!this.#takes(')')) throw this.#unexpected('"and", "or" or ")"');
        return inner;
      });
    }
    if (this.#takes('!') || (!this.#isTerm() && this.#takes('not'))) {
      return this.#deeper(() => ({ kind: 'not', of: this.#one() }));
    }
    return this.#term();
  }

  #deeper(parse: () => Expression): Expression {
    if (++this.#depth > DEEPEST) throw this.#unexpected(`at most ${DEEPEST} levels`);
    const inner = parse();
    this.#depth--;
    return inner;
  }

  #term(): Term {
    const name = this.#token;
    if (name.kind !== 'word' || name.quoted || !isField(name.text)) {
      throw this.#unexpected(`a field (${FIELD_NAMES.join(', ')}), "not" or "("`);
    }
    this.#next++;
    const operator = this.#operator(name.text);
    const at = this.#next;
    const values = [this.#value()];
    while (this.#takes(',')) values.push(this.#value());
    const term: Term = { kind: 'term', field: name.text, operator, values };
    try {
      compileTerm(term);
    } catch (error) {
      if (!(error instanceof ValueError)) throw error;
      // Between two values stands a comma.
      const token = this.#tokens[at + 2 * error.index] ?? this.#token;
      throw new ExpressionError(token.at, error.expected, describeToken(token));
    }
    return term;
  }

  #operator(field: string): Operator {
    const token = this.#token;
    const known = operatorsOf(field);
    const operator = OPERATORS.find((each) => token.kind === 'sign' && token.text === each);
    if (operator === undefined || !known.includes(operator)) {
      throw this.#unexpected(`one of ${known.join(' ')} after "${field}"`);
    }
    this.#next++;
    return operator;
  }

  #value(): string {
    const token = this.#token;
    if (token.kind !== 'word') throw this.#unexpected('a value');
    this.#next++;
    return token.text;
  }

  /** Whether an operator comes next but one: then what comes next is the name of a field, whatever it is. */
  #isTerm(): boolean {
    const token = this.#tokens[this.#next + 1];
    return token?.kind === 'sign' && OPERATORS.some((each) => each === token.text);
  }

  #takes(text: string): boolean {
    const token = this.#token;
    if (token.kind === 'end' || token.text !== text) return false;
    if (token.kind === 'word' && token.quoted) return false;
    this.#next++;
    return true;
  }

  get #token(): Token {
    return this.#tokens[this.#next] ?? { kind: 'end', at: 1 };
  }

  #unexpected(expected: string): ExpressionError {
    return new ExpressionError(this.#token.at, expected, describeToken(this.#token));
  }
}

/** The expression as text: what is parsed of it is the expression. */
export function printExpression(expression: Expression): string {
  switch (expression.kind) {
    case 'term':
      return `${expression.field}${expression.operator}${expression.values.map(writtenWord).join(',')}`;
    case 'not':
      return `not ${grouped(expression.of)}`;
    default:
      return expression.of.map(grouped).join(` ${expression.kind} `);
  }
}

/** In parentheses unless it is one term, or the negation of one. */
function grouped(expression: Expression): string {
  const text = printExpression(expression);
  return expression.kind === 'and' || expression.kind === 'or' ? `(${text})` : text;
}
