/** Every struct declared in hypervisor/public has the size and offsets of the C header: a probe compiled with the host's cc tells. */

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { testWithPeer } from '../support/peer.js';

const PUBLIC = join(import.meta.dirname, '../../hypervisor/public');

interface Layout {
  readonly name: string;
  readonly size: number;
  readonly offset: Readonly<Record<string, number>>;
}

const isLayout = (value: unknown): value is Layout =>
  typeof value === 'object' &&
  value !== null &&
  'offset' in value &&
  'size' in value &&
  'decode' in value;

/** All structs exported anywhere below hypervisor/public. */
async function declaredLayouts(): Promise<Layout[]> {
  const files = readdirSync(PUBLIC, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.ts'),
  );
  const modules = await Promise.all(
    files.map((file) => import(join(PUBLIC, file)) as Promise<Record<string, unknown>>),
  );
  return modules.flatMap((exported) => Object.values(exported).filter(isLayout));
}

/** Structs of our own, which no Xen header has, and the Xen ones that C spells otherwise. */
const OURS = new Set(['trace_record']);

// biome-ignore format: one row per line of the program
const probe = (layouts: readonly Layout[]): string => [
  '#include <stdio.h>', '#include <stddef.h>', '#include <stdint.h>', '#define __XEN_TOOLS__ 1',
  ...['xen', 'event_channel', 'grant_table', 'sched', 'vcpu', 'memory', 'version', 'physdev', 'callback', 'nmi', 'io/console', 'io/xs_wire', 'elfnote', 'features', 'arch-x86/cpuid']
    .map((header) => `#include <xen/${header}.h>`),
  'int main(void) {',
  ...layouts.flatMap(({ name, offset }) => [
    `  printf("${name} size %zu\\n", sizeof(${name}));`,
    ...Object.keys(offset).map((field) => `  printf("${name} ${field} %zu\\n", offsetof(${name}, ${field}));`),
  ]),
  '  return 0; }',
].join('\n');

function compileAndRun(source: string): string[] {
  const folder = mkdtempSync(join(tmpdir(), 'abi-probe-'));
  try {
    writeFileSync(join(folder, 'probe.c'), source);
    execFileSync('cc', ['-o', join(folder, 'probe'), join(folder, 'probe.c')], { stdio: 'pipe' });
    return execFileSync(join(folder, 'probe'), { encoding: 'utf8' }).trim().split('\n');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

testWithPeer(
  'libxen-dev',
  ['/usr/include/xen/xen.h', '/usr/bin/cc'],
  'struct layouts equal those of the C headers',
  async () => {
    const layouts = (await declaredLayouts()).filter(({ name }) => !OURS.has(name));
    expect(layouts.length).toBeGreaterThan(10);
    const ours = layouts.flatMap(({ name, size, offset }) => [
      `${name} size ${size}`,
      ...Object.entries(offset).map(([field, at]) => `${name} ${field} ${at}`),
    ]);
    expect(ours).toEqual(compileAndRun(probe(layouts)));
  },
);
