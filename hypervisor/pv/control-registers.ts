/** CR0 and CR4 as a guest finds them. Spec: SDM 3A §2.5; xen-abi §1.10. */

/** PE MP ET NE WP AM PG: what the guest finds in CR0 besides TS. */
export const CR0_FIXED = 0x8005_0033;
export const CR0_TS = 8;
/** PAE, MCE, OSFXSR, OSXMMEXCPT on; PGE hidden. There is no XSAVE, so OSXSAVE is off. */
export const CR4_FIXED = 0x660;
export const CR4_TSD = 0x04;
/** Bits the guest has for itself: TSD, DE, FSGSBASE. It may try others: they are dropped. */
export const CR4_GUEST = CR4_TSD | 0x08 | 0x1_0000;
