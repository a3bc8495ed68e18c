/** Names of nodes. Spec: xenstore.txt, section "Paths". */

export interface Path {
  /** Canonical absolute text, without a trailing slash except for "/". */
  readonly text: string;
  /** The components; empty for the root. */
  readonly parts: readonly string[];
}

export const ROOT_PATH: Path = { text: '/', parts: [] };

/** Where a domain's relative paths start. */
export const domainPath = (domid: number): string => `/local/domain/${domid}`;

/**
 * The node that `text` names for a connection of `domid`.
 * @param limit characters allowed, a leading "/local/domain/<n>/" not counted
 * @returns undefined when it is no valid path (EINVAL). "@names" are no paths.
 */
export function parsePath(text: string, domid: number, limit: number): Path | undefined {
  const first = text.charCodeAt(0);
  if (text === '' || first === AT) return undefined;
  const full = first === SLASH ? text : `${domainPath(domid)}/${text}`;
  if (full === '/') return ROOT_PATH;
  if (full.length > limit && withoutHome(full).length > limit) return undefined;
  const parts = splitPath(full);
  return parts && { text: full, parts };
}

/** The node above; undefined for the root. */
export function parentPath(path: Path): Path | undefined {
  if (path.parts.length === 0) return undefined;
  if (path.parts.length === 1) return ROOT_PATH;
  return {
    text: path.text.slice(0, path.text.lastIndexOf('/')),
    parts: path.parts.slice(0, -1),
  };
}

/** The node `name` below `path`. */
export const childPath = (path: Path, name: string): Path => ({
  text: path.parts.length === 0 ? `/${name}` : `${path.text}/${name}`,
  parts: [...path.parts, name],
});

/** The last component; empty for the root. */
export const leafName = (path: Path): string => path.parts[path.parts.length - 1] ?? '';

/** What quotas on the length of a path count: the part behind the domain's own directory. */
const withoutHome = (text: string): string => text.replace(/^\/local\/domain\/\d{1,5}\//, '');

const SLASH = 47;
const AT = 64;

/** 1 for each character a component may have: [A-Za-z0-9-_@]. */
const ALLOWED = new Uint8Array(256);
for (const char of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_@') {
  ALLOWED[char.charCodeAt(0)] = 1;
}

/** @returns undefined for a character that is not allowed, "//" and a trailing slash. */
function splitPath(text: string): string[] | undefined {
  const parts: string[] = [];
  let start = 1;
  const length = text.length;
  for (let at = 1; at < length; at++) {
    const code = text.charCodeAt(at);
    if (code === SLASH) {
      if (at === start) return undefined;
      parts.push(text.slice(start, at));
      start = at + 1;
    } else if (ALLOWED[code] !== 1) return undefined;
  }
  if (start === length) return undefined;
  parts.push(text.slice(start));
  return parts;
}
