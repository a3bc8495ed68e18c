/** Facts of xen/include/public/{version,features}.h: who this hypervisor is, what it offers. */

import { struct } from './struct.js';

/** Commands of xen_version. */
// biome-ignore format: one row per command
export const XENVER = {
  VERSION:             0,
  EXTRAVERSION:        1,
  COMPILE_INFO:        2,
  CAPABILITIES:        3,
  CHANGESET:           4,
  PLATFORM_PARAMETERS: 5,
  GET_FEATURES:        6,
  PAGESIZE:            7,
  GUEST_HANDLE:        8,
  COMMANDLINE:         9,
  BUILD_ID:            10,
} as const;

/** Feature bits of XENVER_get_features, submap 0. */
// biome-ignore format: one row per feature
export const XENFEAT = {
  WRITABLE_PAGE_TABLES:       0,
  WRITABLE_DESCRIPTOR_TABLES: 1,
  AUTO_TRANSLATED_PHYSMAP:    2,
  SUPERVISOR_MODE_KERNEL:     3,
  PAE_PGDIR_ABOVE_4GB:        4,
  MMU_PT_UPDATE_PRESERVE_AD:  5,
  HIGHMEM_ASSIST:             6,
  GNTTAB_MAP_AVAIL_BITS:      7,
  HVM_CALLBACK_VECTOR:        8,
  HVM_SAFE_PVCLOCK:           9,
  HVM_PIRQS:                  10,
  DOM0:                       11,
  MEMORY_OP_VNODE_SUPPORTED:  13,
  DIRECT_MAPPED:              17,
} as const;

export const XENFEAT_NR_SUBMAPS = 1;

export const XEN_EXTRAVERSION_LEN = 16;
export const XEN_CAPABILITIES_INFO_LEN = 1024;
export const XEN_CHANGESET_INFO_LEN = 64;
export const XEN_COMMANDLINE_LEN = 1024;

export const xenCompileInfo = struct('xen_compile_info', {
  compiler: { bytes: 64, align: 1 },
  compileBy: { bytes: 16, align: 1 },
  compileDomain: { bytes: 32, align: 1 },
  compileDate: { bytes: 32, align: 1 },
});

export const xenPlatformParameters = struct('xen_platform_parameters', { virtStart: 'u64' });

export const xenFeatureInfo = struct('xen_feature_info', {
  submapIdx: 'u32',
  submap: 'u32', // out
});

export const xenBuildId = struct('xen_build_id', { len: 'u32' });
