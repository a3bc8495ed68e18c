/** The layering of the house as rules: one row per folder, what it may import. */

const HOUSE = '^(hypervisor|dom0|toolstack|xenstore|tests|guests)/';

// biome-ignore format: one row per folder
const LAYERS = [
  // folder                    may import, besides itself
  ['hypervisor/public',    []],
  ['hypervisor/machine',   []],
  ['hypervisor/x86',       ['hypervisor/machine']],
  ['hypervisor/engine',    ['hypervisor/x86', 'hypervisor/machine']],
  ['hypervisor/common',    ['hypervisor/public', 'hypervisor/machine']],
  ['hypervisor/pv',        ['hypervisor/public', 'hypervisor/machine', 'hypervisor/x86', 'hypervisor/common']],
  ['hypervisor/hypercall', ['hypervisor/public', 'hypervisor/machine', 'hypervisor/common', 'hypervisor/pv']],
  ['xenstore/protocol',    ['hypervisor/public']],
  ['xenstore/store',       ['hypervisor/public', 'xenstore/protocol']],
  ['xenstore/server',      ['hypervisor/public', 'xenstore/protocol', 'xenstore/store']],
  ['xenstore/transport',   ['hypervisor/public', 'xenstore/protocol', 'xenstore/store', 'xenstore/server']],
  ['xenstore/client',      ['hypervisor/public', 'xenstore/protocol']],
  ['dom0',                 ['hypervisor/public', 'xenstore/client', 'xenstore/protocol']],
  ['toolstack/schemas',    []],
  ['toolstack/state',      ['toolstack/schemas']],
  ['toolstack/trace',      ['hypervisor/public', 'dom0']],
  ['toolstack/domains',    ['toolstack/schemas', 'toolstack/state', 'toolstack/trace', 'hypervisor/public', 'hypervisor/index.ts', 'xenstore/client', 'xenstore/server', 'dom0']],
  ['toolstack/api',        ['toolstack/schemas', 'toolstack/trace', 'toolstack/domains']],
  ['toolstack/cli',        ['toolstack/schemas', 'toolstack/trace']],
];

const layerRule = ([folder, allowed]) => ({
  name: `layer-${folder.replace('/', '-')}`,
  severity: 'error',
  from: { path: `^${folder}/` },
  to: { path: HOUSE, pathNot: [folder, ...allowed].map((path) => `^${path}(/|$)`) },
});

/** Folders whose code must also run in a browser Worker: no Node API. */
const PORTABLE = '^(hypervisor|xenstore/(protocol|store|server))/';

export default {
  forbidden: [
    ...LAYERS.map(layerRule),
    { name: 'no-circular', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'no-orphans',
      severity: 'error',
      from: { orphan: true, pathNot: '\\.(config\\.ts|d\\.ts|mjs)$' },
      to: {},
    },
    {
      name: 'portable',
      severity: 'error',
      from: { path: PORTABLE },
      to: { dependencyTypes: ['core'] },
    },
    {
      name: 'production-not-tests',
      severity: 'error',
      from: { pathNot: '^tests/' },
      to: { path: '^tests/' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { extensions: ['.ts', '.mjs', '.js'] },
  },
};
