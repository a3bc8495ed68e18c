/**
 * A filter expression as a test of records. The same test is asked about what is not a record yet, of which only domain, kind and call are known:
 * it answers no if no such record can be wanted, which is what the hypervisor need not write, and undefined if it depends.
 */

import type { Expression } from './expression.js';
import { type CompiledTerm, compileTerm, type DomidsOf, negated, type Test } from './fields.js';

export function compileExpression(expression: Expression, domidsOf: DomidsOf): Test {
  return compiled(expression, domidsOf).test;
}

function compiled(expression: Expression, domidsOf: DomidsOf): CompiledTerm {
  switch (expression.kind) {
    case 'term':
      return compileTerm(expression, domidsOf);
    case 'not': {
      const { cost, test } = compiled(expression.of, domidsOf);
      return { cost, test: negated(test) };
    }
    default: {
      const parts = expression.of.map((part) => compiled(part, domidsOf));
      // Which one is asked first is all the same to the answer.
      const cheapFirst = parts.toSorted((a, b) => a.cost - b.cost);
      const tests = cheapFirst.map(({ test }) => test);
      return { cost: cheapFirst.at(-1)?.cost ?? 0, test: joined(tests, expression.kind === 'or') };
    }
  }
}

/** @param decisive the answer of one that is the answer of all: true joins them by "or", false by "and". */
const joined =
  (tests: readonly Test[], decisive: boolean): Test =>
  (subject) => {
    let answer: boolean | undefined = !decisive;
    for (const test of tests) {
      const holds = test(subject);
      if (holds === decisive) return decisive;
      if (holds === undefined) answer = undefined;
    }
    return answer;
  };

/** Whether a name stands somewhere in the expression as a value of one of these fields. */
export function mentions(expression: Expression, fields: readonly string[], name: string): boolean {
  if (expression.kind === 'term') {
    return fields.includes(expression.field) && expression.values.includes(name);
  }
  const parts = expression.kind === 'not' ? [expression.of] : expression.of;
  return parts.some((part) => mentions(part, fields, name));
}
