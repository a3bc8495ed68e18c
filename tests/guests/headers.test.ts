/** The kit's own ABI header (guests/include/xen.h) agrees with Xen's public headers, in layouts and in numbers. */

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { testWithPeer } from '../support/peer.js';

const INCLUDE = join(import.meta.dirname, '../../guests/include');

// biome-ignore format: one row per struct: ours, Xen's, pairs of fields where the names differ
const STRUCTS: readonly (readonly [string, string, Readonly<Record<string, string>>])[] = [
  ['start_info',         'struct start_info',              { magic: 'magic', nr_pages: 'nr_pages', shared_info: 'shared_info', flags: 'flags', store_mfn: 'store_mfn', store_port: 'store_evtchn', console_mfn: 'console.domU.mfn', console_port: 'console.domU.evtchn', pt_base: 'pt_base', nr_pt_frames: 'nr_pt_frames', mfn_list: 'mfn_list', mod_start: 'mod_start', mod_len: 'mod_len', cmd_line: 'cmd_line', first_p2m_pfn: 'first_p2m_pfn', nr_p2m_frames: 'nr_p2m_frames' }],
  ['vcpu_time',          'struct vcpu_time_info',          { version: 'version', tsc_timestamp: 'tsc_timestamp', system_time: 'system_time', tsc_to_system_mul: 'tsc_to_system_mul', tsc_shift: 'tsc_shift', flags: 'flags' }],
  ['vcpu_info',          'struct vcpu_info',               { upcall_pending: 'evtchn_upcall_pending', upcall_mask: 'evtchn_upcall_mask', pending_sel: 'evtchn_pending_sel', cr2: 'arch.cr2', time: 'time' }],
  ['shared_info',        'struct shared_info',             { vcpu: 'vcpu_info', evtchn_pending: 'evtchn_pending', evtchn_mask: 'evtchn_mask', wc_version: 'wc_version', wc_sec: 'wc_sec', wc_nsec: 'wc_nsec', wc_sec_hi: 'wc_sec_hi', max_pfn: 'arch.max_pfn', p2m_generation: 'arch.p2m_generation' }],
  ['trap_info',          'struct trap_info',               { vector: 'vector', flags: 'flags', cs: 'cs', address: 'address' }],
  ['callback',           'struct callback_register',       { type: 'type', flags: 'flags', address: 'address' }],
  ['mmu_update',         'struct mmu_update',              { ptr: 'ptr', val: 'val' }],
  ['mmuext_op',          'struct mmuext_op',               { cmd: 'cmd', arg1: 'arg1', arg2: 'arg2' }],
  ['memory_reservation', 'struct xen_memory_reservation',  { extents: 'extent_start', nr_extents: 'nr_extents', order: 'extent_order', mem_flags: 'mem_flags', domid: 'domid' }],
  ['machphys_mapping',   'struct xen_machphys_mapping',    { v_start: 'v_start', v_end: 'v_end', max_mfn: 'max_mfn' }],
  ['evtchn_bind_interdomain', 'struct evtchn_bind_interdomain', { remote_dom: 'remote_dom', remote_port: 'remote_port', local_port: 'local_port' }],
  ['evtchn_bind_virq',   'struct evtchn_bind_virq',        { virq: 'virq', vcpu: 'vcpu', port: 'port' }],
  ['evtchn_alloc_unbound', 'struct evtchn_alloc_unbound',  { dom: 'dom', remote_dom: 'remote_dom', port: 'port' }],
  ['evtchn_bind_ipi',    'struct evtchn_bind_ipi',         { vcpu: 'vcpu', port: 'port' }],
  ['evtchn_status',      'struct evtchn_status',           { dom: 'dom', port: 'port', status: 'status', vcpu: 'vcpu', u: 'u' }],
  ['grant_entry',        'struct grant_entry_v1',          { flags: 'flags', domid: 'domid', frame: 'frame' }],
  ['gnttab_map',         'struct gnttab_map_grant_ref',    { host_addr: 'host_addr', flags: 'flags', ref: 'ref', dom: 'dom', status: 'status', handle: 'handle', dev_bus_addr: 'dev_bus_addr' }],
  ['gnttab_unmap',       'struct gnttab_unmap_grant_ref',  { host_addr: 'host_addr', dev_bus_addr: 'dev_bus_addr', handle: 'handle', status: 'status' }],
  ['gnttab_setup',       'struct gnttab_setup_table',      { dom: 'dom', nr_frames: 'nr_frames', status: 'status', frames: 'frame_list' }],
  ['gnttab_query',       'struct gnttab_query_size',       { dom: 'dom', nr_frames: 'nr_frames', max_nr_frames: 'max_nr_frames', status: 'status' }],
  ['gnttab_copy',        'struct gnttab_copy',             { source: 'source', dest: 'dest', len: 'len', flags: 'flags', status: 'status' }],
  ['sched_poll',         'struct sched_poll',              { ports: 'ports', nr_ports: 'nr_ports', timeout: 'timeout' }],
  ['runstate_info',      'struct vcpu_runstate_info',      { state: 'state', state_entry_time: 'state_entry_time', time: 'time' }],
  ['singleshot_timer',   'struct vcpu_set_singleshot_timer', { timeout_abs_ns: 'timeout_abs_ns', flags: 'flags' }],
  ['register_vcpu_info', 'struct vcpu_register_vcpu_info', { mfn: 'mfn', offset: 'offset' }],
  ['cpu_user_regs',      'struct cpu_user_regs',           { r15: 'r15', rax: 'rax', rdi: 'rdi', error_code: 'error_code', rip: 'rip', cs: 'cs', saved_upcall_mask: 'saved_upcall_mask', rflags: 'rflags', rsp: 'rsp', ss: 'ss', gs: 'gs' }],
  ['vcpu_guest_context', 'struct vcpu_guest_context',      { flags: 'flags', regs: 'user_regs', traps: 'trap_ctxt', ldt_base: 'ldt_base', gdt_frames: 'gdt_frames', gdt_ents: 'gdt_ents', kernel_ss: 'kernel_ss', kernel_sp: 'kernel_sp', ctrlreg: 'ctrlreg', debugreg: 'debugreg', event_callback: 'event_callback_eip', failsafe_callback: 'failsafe_callback_eip', syscall_callback: 'syscall_callback_eip', vm_assist: 'vm_assist', fs_base: 'fs_base', gs_base_user: 'gs_base_user' }],
  ['multicall_entry',    'struct multicall_entry',         { op: 'op', result: 'result', args: 'args' }],
  ['console_ring',       'struct xencons_interface',       { in: 'in', out: 'out', in_cons: 'in_cons', in_prod: 'in_prod', out_cons: 'out_cons', out_prod: 'out_prod' }],
  ['xenstore_ring',      'struct xenstore_domain_interface', { req: 'req', rsp: 'rsp', req_cons: 'req_cons', req_prod: 'req_prod', rsp_cons: 'rsp_cons', rsp_prod: 'rsp_prod', server_features: 'server_features', connection: 'connection' }],
  ['xs_header',          'struct xsd_sockmsg',             { type: 'type', req_id: 'req_id', tx_id: 'tx_id', len: 'len' }],
];

/** Constants by name: ours → Xen's, where the prefix differs; the others are called alike. */
const XEN_NAME: readonly (readonly [RegExp, string])[] = [
  [/^HC_(.+)$/, '__HYPERVISOR_$1'],
  [/^(E[A-Z0-9]+)$/, 'XEN_$1'],
  [/^(EVTCHNOP|EVTCHNSTAT|VIRQ|GNTTABOP|GTF|GNTMAP|GNTCOPY|GNTST)_/, '$1_'],
  [/^(SCHEDOP|SHUTDOWN|VCPUOP|VCPU_SSHOTTMR|RUNSTATE|CALLBACKOP|CALLBACKF|SEGBASE)_/, '$1_'],
  [/^(XENVER|CONSOLEIO|MMU|MMUEXT|UVMF|VMASST|SIF|XS)_/, '$1_'],
  [/^CALLBACK_(.+)$/, 'CALLBACKTYPE_$1'],
  [/^MEMOP_(.+)$/, 'XENMEM_$1'],
];

/** [our name, value as C writes it, Xen's name] of each constant that Xen knows under such a name. */
function constants(): (readonly [string, string, string])[] {
  const text = readFileSync(join(INCLUDE, 'xen.h'), 'utf8');
  return [...text.matchAll(/^#define\s+(\w+)\s+(\S.*?)\s*(?:\/\*.*)?$/gm)].flatMap((match) => {
    const [, name = '', value = ''] = match;
    const rule = XEN_NAME.find(([pattern]) => pattern.test(name));
    if (rule === undefined || value === '' || name.startsWith('VGCF')) return [];
    const [pattern, to] = rule;
    return [[name, value, name.replace(pattern, to)] as const];
  });
}

/** Names that Xen spells otherwise than the rules above. */
const SPELLED: Readonly<Record<string, string>> = {
  UVMF_ALL: 'UVMF_ALL',
  XS_PAYLOAD_MAX: 'XENSTORE_PAYLOAD_MAX',
  VMASST_enable: 'VMASST_CMD_enable',
  VMASST_disable: 'VMASST_CMD_disable',
  VMASST_writable_pagetables: 'VMASST_TYPE_writable_pagetables',
  VMASST_architectural_iopl: 'VMASST_TYPE_architectural_iopl',
  VMASST_runstate_update_flag: 'VMASST_TYPE_runstate_update_flag',
  GNTCOPY_source_gref: 'GNTCOPY_source_gref',
};

const field = (line: string, struct: string, name: string): string =>
  `  printf("${line} %zu\\n", offsetof(${struct}, ${name}));`;

function program(kind: 'kit' | 'xen'): string {
  const headers =
    kind === 'kit'
      ? ['xen.h']
      : ['xen', 'event_channel', 'grant_table', 'sched', 'vcpu', 'memory', 'version', 'callback']
          .concat(['io/console', 'io/xs_wire', 'physdev', 'errno'])
          .map((name) => `xen/${name}.h`);
  const layouts = STRUCTS.flatMap(([ours, theirs, fields]) => {
    const struct = kind === 'kit' ? `struct ${ours}` : theirs;
    return [
      `  printf("${ours} size %zu\\n", sizeof(${struct}));`,
      ...Object.entries(fields).map(([a, b]) =>
        field(`${ours} ${a}`, struct, kind === 'kit' ? a : b),
      ),
    ];
  });
  const numbers = constants().map(([name, , xen]) => {
    const spelled = kind === 'kit' ? name : (SPELLED[name] ?? xen);
    return `  printf("${name} %lld\\n", (long long)(${spelled}));`;
  });
  return [
    ...(kind === 'kit' ? [] : ['#include <stdint.h>', '#define __XEN_TOOLS__ 1']),
    ...headers.map((name) => (kind === 'kit' ? `#include "${name}"` : `#include <${name}>`)),
    ...(kind === 'kit' ? ['int printf(const char *, ...);'] : ['#include <stdio.h>']),
    '#undef offsetof',
    '#define offsetof(type, name) __builtin_offsetof(type, name)',
    'int main(void) {',
    ...layouts,
    ...numbers,
    '  return 0; }',
  ].join('\n');
}

function compileAndRun(kind: 'kit' | 'xen'): string[] {
  const folder = mkdtempSync(join(tmpdir(), 'guest-headers-'));
  try {
    writeFileSync(join(folder, 'probe.c'), program(kind));
    execFileSync(
      'cc',
      ['-fno-builtin', '-I', INCLUDE, '-o', join(folder, 'probe'), join(folder, 'probe.c')],
      {
        stdio: 'pipe',
      },
    );
    return execFileSync(join(folder, 'probe'), { encoding: 'utf8' }).trim().split('\n');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

testWithPeer(
  'libxen-dev',
  ['/usr/include/xen/xen.h', '/usr/bin/cc'],
  'the layouts and numbers of guests/include/xen.h are those of Xen',
  () => {
    expect(constants().length).toBeGreaterThan(150);
    expect(compileAndRun('kit')).toEqual(compileAndRun('xen'));
  },
);
