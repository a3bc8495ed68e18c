/** Permissions as the wire writes them: "<letter><domid>". Spec: xenstore.txt, section "Permissions". */

/** n: nothing, r: read, w: write, b: both. */
export type Access = 'n' | 'r' | 'w' | 'b';

export interface Permission {
  readonly access: Access;
  readonly domid: number;
}

const MAX_DOMID = 0xffff;

/** @returns undefined for a bad letter or number. */
export function parsePermission(text: string): Permission | undefined {
  const match = /^([nrwb])(\d{1,5})$/.exec(text);
  if (match === null) return undefined;
  const domid = Number(match[2]);
  return domid > MAX_DOMID ? undefined : { access: match[1] as Access, domid };
}

export const formatPermission = ({ access, domid }: Permission): string => `${access}${domid}`;
