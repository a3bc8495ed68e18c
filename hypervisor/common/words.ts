/** Words with figures in them, put together only when somebody wants to read them: a refusal that nobody reads costs no text. */

export type Figure = number | string;

const hex = (value: number): string =>
  value < 0 ? hex(value + 2 ** 32) : `0x${value.toString(16)}`;

/** @param format as printk takes it: %d decimal, %x hexadecimal with 0x, %s text. */
export function inWords(format: string, figures: readonly Figure[]): string {
  let next = 0;
  return format.replaceAll(/%[dxs]/g, (place) => {
    const figure = figures[next++] ?? '?';
    return place === '%x' && typeof figure === 'number' ? hex(figure) : `${figure}`;
  });
}
