/** Why a kernel image is refused: the field that is wrong, what was expected and what was found. */

export interface ImageError {
  readonly kind: 'error';
  /** The header field, note or figure at fault, by its name in the ELF specification or in Xen's headers. */
  readonly field: string;
  readonly expected: string;
  readonly found: string;
}

export const imageError = (
  field: string,
  expected: string,
  found: string | number | bigint,
): ImageError => ({
  kind: 'error',
  field,
  expected,
  found: typeof found === 'string' ? found : `0x${found.toString(16)}`,
});

/** @returns true if the value is a refusal rather than a result. */
export const isImageError = (value: object): value is ImageError =>
  (value as { kind?: unknown }).kind === 'error';
