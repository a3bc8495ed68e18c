/** The filter of the trace: all words must be in a line, those after a minus must not; in quotes they hold together. */

/** @type {{ filter: string, words: readonly { text: string, without: boolean }[] }} */
let last = { filter: '', words: [] };

/**
 * @param {string} filter
 * @param {string} text
 */
export function wants(filter, text) {
  if (filter !== last.filter) last = { filter, words: parse(filter) };
  if (last.words.length === 0) return true;
  const line = text.toLowerCase();
  return last.words.every((word) => line.includes(word.text) !== word.without);
}

/** @param {string} filter */
function parse(filter) {
  const words = filter.toLowerCase().match(/-?"[^"]*"|\S+/g) ?? [];
  return words
    .map((word) => ({
      text: word.replace(/^-/, '').replaceAll('"', ''),
      without: word.startsWith('-'),
    }))
    .filter(({ text }) => text !== '');
}
