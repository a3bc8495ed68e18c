/** A strict reader of Prometheus' text format, version 0.0.4: what breaks a rule of the format throws. */

export interface Family {
  readonly kind: string;
  readonly help: string;
  /** By labels in their order, as written: `{domid="1",name="hello"}`; '' without any. */
  readonly samples: Map<string, number>;
}

const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*';
const LABEL = '[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\\\\n]|\\\\["\\\\n])*"';
const SAMPLE = new RegExp(`^(${NAME})(\\{${LABEL}(?:,${LABEL})*\\})? (\\S+)$`);
const META = new RegExp(`^# (HELP|TYPE) (${NAME}) (.+)$`);
/** What the samples of a histogram or summary are called besides the name of their family. */
const SUFFIX = /_(bucket|sum|count)$/;

/** @throws Error naming the line: no such syntax, a sample before its type, a family or sample twice, a value that is no number. */
export function parseMetrics(text: string): Map<string, Family> {
  if (!text.endsWith('\n')) throw new Error('the last line has no end');
  const families = new Map<string, { kind: string; help: string; samples: Map<string, number> }>();
  for (const line of text.split('\n')) {
    if (line === '') continue;
    if (line.startsWith('#')) readMeta(line, families);
    else readSample(line, families);
  }
  return families;
}

type Open = Map<string, { kind: string; help: string; samples: Map<string, number> }>;

function readMeta(line: string, families: Open): void {
  const [, what, name = '', rest = ''] =
    META.exec(line) ?? fail(line, 'is no comment of the format');
  if (what === 'HELP') {
    if (families.has(name)) fail(line, 'has been described already');
    families.set(name, { kind: '', help: rest, samples: new Map() });
    return;
  }
  const family = families.get(name) ?? fail(line, 'has no HELP');
  if (family.kind !== '') fail(line, 'has a type already');
  if (!/^(counter|gauge|histogram|summary)$/.test(rest)) fail(line, 'is of no type');
  family.kind = rest;
}

function readSample(line: string, families: Open): void {
  const [, name = '', labels = '', text = ''] = SAMPLE.exec(line) ?? fail(line, 'is no sample');
  const family = families.get(name) ?? families.get(name.replace(SUFFIX, ''));
  if (family === undefined || family.kind === '') fail(line, 'has no type');
  const key = families.has(name) ? labels : name + labels;
  if (family.samples.has(key)) fail(line, 'is there twice');
  const value = Number(text);
  if (Number.isNaN(value) && text !== 'Nan') fail(line, 'has no number');
  if (family.kind === 'counter' && value < 0) fail(line, 'is a counter below 0');
  family.samples.set(key, value);
}

function fail(line: string, why: string): never {
  throw new Error(`${JSON.stringify(line)} ${why}`);
}
