/** The sixteen conditions of Jcc, SETcc and CMOVcc. Spec: SDM 1 appendix B. */

/** Suffixes as iced-x86 spells them, by encoding. */
// biome-ignore format: one row
export const CONDITIONS = ['o', 'no', 'b', 'ae', 'e', 'ne', 'be', 'a', 's', 'ns', 'p', 'np', 'l', 'ge', 'le', 'g'] as const;
