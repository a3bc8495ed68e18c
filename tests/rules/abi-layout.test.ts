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

/** Structs of our own, which no Xen header has. */
const OURS = new Set(['trace_record']);

/** Members that C spells otherwise than our names in snake case, by `struct.field`. */
// biome-ignore format: one row per member
const IN_C: Readonly<Record<string, string>> = {
  'evtchn_fifo_control_block.rsvd':       '_rsvd',
  'evtchn_status.first':                  'u',
  'evtchn_status.second':                 'u.interdomain.port',
  'gnttab_copy.sourceDomid':              'source.domid',
  'gnttab_copy.sourceOffset':             'source.offset',
  'gnttab_copy.destDomid':                'dest.domid',
  'gnttab_copy.destOffset':               'dest.offset',
  'gnttab_swap_grant_ref.refA':           'ref_a',
  'multicall_entry.arg0':                 'args[0]',
  'multicall_entry.arg1':                 'args[1]',
  'multicall_entry.arg2':                 'args[2]',
  'multicall_entry.arg3':                 'args[3]',
  'multicall_entry.arg4':                 'args[4]',
  'multicall_entry.arg5':                 'args[5]',
  'netif_extra_info.gsoSize':             'u.gso.size',
  'netif_extra_info.gsoType':             'u.gso.type',
  'netif_extra_info.gsoFeatures':         'u.gso.features',
  'shared_info.maxPfn':                   'arch.max_pfn',
  'shared_info.pfnToMfnFrameListList':    'arch.pfn_to_mfn_frame_list_list',
  'shared_info.nmiReason':                'arch.nmi_reason',
  'shared_info.p2mCr3':                   'arch.p2m_cr3',
  'shared_info.p2mVaddr':                 'arch.p2m_vaddr',
  'shared_info.p2mGeneration':            'arch.p2m_generation',
  'shared_info.wcSecHi':                  'wc_sec_hi',
  'start_info.consoleMfn':                'console.domU.mfn',
  'start_info.consoleEvtchn':             'console.domU.evtchn',
  'union grant_entry_v2.flags':           'hdr.flags',
  'union grant_entry_v2.domid':           'hdr.domid',
  'union grant_entry_v2.first':           'sub_page.page_off',
  'union grant_entry_v2.second':          'sub_page.length',
  'union grant_entry_v2.frame':           'full_page.frame',
  'vcpu_info.archCr2':                    'arch.cr2',
  'vcpu_runstate_info.timeRunning':       'time[0]',
  'vcpu_runstate_info.timeRunnable':      'time[1]',
  'vcpu_runstate_info.timeBlocked':       'time[2]',
  'vcpu_runstate_info.timeOffline':       'time[3]',
};

/** Padding has no name worth comparing. */
const isPadding = (field: string): boolean => /^(pad|rsvd|unused)|[pP]ad(ding)?\d*$/.test(field);

const memberInC = (struct: string, field: string): string =>
  IN_C[`${struct}.${field}`] ??
  field
    .replace(/([A-Z])/g, '_$1')
    .toLowerCase()
    .replace(/^(ctrlreg)(\d)$/, '$1[$2]');

const typeInC = (name: string): string => (/^(struct|union) /.test(name) ? name : `struct ${name}`);

/** Name in a report and expression in C for everything that is compared. */
const facts = ({
  name,
  size,
  offset,
}: Layout): { text: string; value: number; expression: string }[] => {
  const type = typeInC(name);
  const fields = Object.entries(offset).filter(([field]) => !isPadding(field));
  return [
    { text: `${name} size`, value: size, expression: `sizeof(${type})` },
    ...fields.map(([field, value]) => ({
      text: `${name} ${field}`,
      value,
      expression: `offsetof(${type}, ${memberInC(name, field)})`,
    })),
  ];
};

const HEADERS =
  'xen event_channel grant_table sched vcpu memory version physdev callback nmi io/console io/xs_wire io/blkif io/netif'.split(
    ' ',
  );

const probe = (layouts: readonly Layout[]): string =>
  [
    '#include <stdio.h>',
    '#include <stddef.h>',
    '#include <stdint.h>',
    '#define __XEN_TOOLS__ 1',
    ...HEADERS.map((header) => `#include <xen/${header}.h>`),
    'int main(void) {',
    ...layouts
      .flatMap(facts)
      .map(({ text, expression }) => `printf("${text} %zu\\n", ${expression});`),
    'return 0; }',
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
    const ours = layouts.flatMap(facts).map(({ text, value }) => `${text} ${value}`);
    expect(ours).toEqual(compileAndRun(probe(layouts)));
  },
);
