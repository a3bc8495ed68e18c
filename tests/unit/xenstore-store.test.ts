/** xenstore/store: the map of children, the immutable tree, the watch trie. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type Children,
  lookupChild,
  visitChildren,
  withChild,
  withoutChild,
} from '../../xenstore/store/children.js';
import { NOBODY } from '../../xenstore/store/node.js';
import { type Path, parentPath, parsePath } from '../../xenstore/store/path.js';
import { DOM0_ONLY, Store } from '../../xenstore/store/store.js';
import { type Watched, WatchTrie } from '../../xenstore/store/watches.js';

const at = (text: string): Path => parsePath(text, 0, 3000) as Path;

describe('children', () => {
  interface Leaf {
    readonly name: string;
    readonly value: number;
  }
  const contents = (children: Children<Leaf> | undefined): Record<string, number> => {
    const found: Record<string, number> = {};
    visitChildren(children, ({ name, value }) => {
      found[name] = value;
    });
    return found;
  };

  test('agree with a Map, and older versions stay as they were', () => {
    const change = fc.record({ name: fc.nat({ max: 300 }).map(String), keep: fc.boolean() });
    fc.assert(
      fc.property(fc.array(change, { maxLength: 600, size: 'max' }), (changes) => {
        const map = new Map<string, number>();
        let children: Children<Leaf> | undefined;
        let older: { children: Children<Leaf> | undefined; contents: Record<string, number> } = {
          children: undefined,
          contents: {},
        };
        for (const [value, { name, keep }] of changes.entries()) {
          if (keep) {
            map.set(name, value);
            children = withChild(children, { name, value });
          } else {
            map.delete(name);
            children = withoutChild(children, name);
          }
          if (value === 100) older = { children, contents: contents(children) };
        }
        expect(contents(children)).toEqual(Object.fromEntries(map));
        expect(contents(older.children)).toEqual(older.contents);
        if (map.size === 0) expect(children).toBeUndefined();
        for (const [name, value] of map) expect(lookupChild(children, name)?.value).toBe(value);
        expect(lookupChild(children, 'never')).toBeUndefined();
      }),
      { numRuns: 100 },
    );
  });

  test('names with equal hashes', () => {
    // Found by trying: these pairs share all 32 bits of the hash.
    const names = collide(2);
    let children: Children<Leaf> | undefined;
    for (const [value, name] of names.entries()) children = withChild(children, { name, value });
    expect(names.map((name) => lookupChild(children, name)?.value)).toEqual(names.map((_, i) => i));
    for (const name of names) children = withoutChild(children, name);
    expect(children).toBeUndefined();
  });

  /** The hash of children.ts up to its mix, which is one-to-one: equal here is equal there. */
  function collide(count: number): string[] {
    const seen = new Map<number, string>();
    const found: string[] = [];
    for (let i = 0; found.length < count * 2; i++) {
      const name = i.toString(36);
      let hash = 0x811c9dc5;
      for (const char of name) hash = Math.imul(hash ^ char.charCodeAt(0), 0x01000193);
      const other = seen.get(hash);
      if (other !== undefined) found.push(other, name);
      seen.set(hash, name);
    }
    return found;
  }
});

describe('store', () => {
  const value = (text: string) => ({ value: text, permissions: DOM0_ONLY });

  test('an old root keeps the old tree', () => {
    const store = new Store();
    store.create(at('/a'), value('1'), NOBODY);
    store.create(at('/a/b'), value('2'), NOBODY);
    const old = store.root;
    store.change(at('/a/b'), value('3'), NOBODY);
    store.remove(at('/a'), NOBODY);
    expect(store.lookup(at('/a'))).toBeUndefined();
    expect(old.child('a')?.child('b')?.value).toBe('2');
    expect(store.size).toBe(1);
  });

  test('the generation of a node changes with its list of children, not with what is below', () => {
    const store = new Store();
    store.create(at('/a'), value(''), NOBODY);
    const generation = (): number | undefined => store.lookup(at('/a'))?.generation;
    const first = generation();
    store.create(at('/a/b'), value(''), NOBODY);
    const second = generation();
    expect(second).not.toBe(first);
    store.change(at('/a/b'), value('x'), NOBODY);
    expect(generation()).toBe(second);
    store.create(at('/a/b/c'), value(''), NOBODY);
    expect(generation()).toBe(second);
    store.remove(at('/a/b'), NOBODY);
    expect(generation()).not.toBe(second);
  });

  test('counts what each domain owns', () => {
    const store = new Store();
    const five = { entries: [{ access: 'n', domid: 5 }], setAt: 0 } as const;
    store.create(at('/a'), { value: '', permissions: five }, NOBODY);
    store.create(at('/a/b'), { value: '', permissions: five }, NOBODY);
    expect(store.owned(5)).toBe(2);
    store.change(at('/a/b'), value(''), NOBODY);
    expect(store.owned(5)).toBe(1);
    store.remove(at('/a'), NOBODY);
    expect([store.owned(5), store.size]).toEqual([0, 1]);
  });
});

test('paths', () => {
  expect(at('/a/b').parts).toEqual(['a', 'b']);
  expect(parentPath(at('/a/b'))?.text).toBe('/a');
  expect(parentPath(at('/a'))?.text).toBe('/');
  expect(parentPath(at('/'))).toBeUndefined();
  expect(parsePath('x', 7, 2048)?.text).toBe('/local/domain/7/x');
});

describe('watches', () => {
  test('the trie finds what a search through all would', () => {
    const parts = fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 4 });
    const depth = fc.constantFrom(0, 1, 2, Number.POSITIVE_INFINITY);
    const rows = fc.array(fc.record({ parts, depth, removed: fc.boolean() }), { maxLength: 30 });
    fc.assert(
      fc.property(rows, parts, fc.boolean(), (all, changed, exact) => {
        const trie = new WatchTrie<Watched & { removed: boolean }>();
        const watches = all.map((row, serial) => ({ ...row, serial }));
        for (const watch of watches) trie.add(watch);
        for (const watch of watches) if (watch.removed) trie.delete(watch);
        const wanted = watches.filter((watch) => {
          const distance = changed.length - watch.parts.length;
          const within = watch.parts.every((part, i) => part === changed[i]);
          return !watch.removed && within && (exact ? distance === 0 : distance <= watch.depth);
        });
        expect(trie.match(changed, exact).map(({ serial }) => serial)).toEqual(
          wanted
            .filter(({ parts: own }) => own.length <= changed.length)
            .map(({ serial }) => serial),
        );
        expect(trie.size).toBe(watches.filter(({ removed }) => !removed).length);
      }),
      { numRuns: 500 },
    );
  });
});
