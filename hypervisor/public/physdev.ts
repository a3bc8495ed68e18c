/** Facts of xen/include/public/physdev.h: the calls a guest without devices may make. */

import { struct } from './struct.js';

/** Commands of physdev_op. */
// biome-ignore format: one row per command
export const PHYSDEVOP = {
  IRQ_STATUS_QUERY:   5,
  SET_IOPL:           6,
  SET_IOBITMAP:       7,
  APIC_READ:          8,
  APIC_WRITE:         9,
  ALLOC_IRQ_VECTOR:   10,
  FREE_IRQ_VECTOR:    11,
  EOI:                12,
  MAP_PIRQ:           13,
  UNMAP_PIRQ:         14,
  MANAGE_PCI_ADD:     15,
  MANAGE_PCI_REMOVE:  16,
  PIRQ_EOI_GMFN_V1:   17,
  RESTORE_MSI:        19,
  MANAGE_PCI_ADD_EXT: 20,
  SETUP_GSI:          21,
  GET_FREE_PIRQ:      23,
  PCI_MMCFG_RESERVED: 24,
  PCI_DEVICE_ADD:     25,
  PCI_DEVICE_REMOVE:  26,
  RESTORE_MSI_EXT:    27,
  PIRQ_EOI_GMFN_V2:   28,
  DBGP_OP:            29,
  PREPARE_MSIX:       30,
  RELEASE_MSIX:       31,
} as const;

export const physdevSetIopl = struct('physdev_set_iopl', { iopl: 'u32' });

export const physdevSetIobitmap = struct('physdev_set_iobitmap', {
  bitmap: 'u64', // guest pointer, 0 for none
  nrPorts: 'u32',
});

/** Argument of physdev_op_compat: the command, then one of the structures above. */
export const physdevOp = struct('physdev_op', {
  cmd: 'u32',
  u: { bytes: 16, align: 8 },
});
