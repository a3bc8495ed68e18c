/**
 * Keeps the terminal to the page's content security policy. It writes its colours into style elements, which the policy
 * forbids; here their text becomes style sheets made by script, which it allows. Nothing else on the page makes such elements.
 */

/** From now on a style element is a stand-in that holds a style sheet of its own. */
export function allowTerminalStyles() {
  const make = Document.prototype.createElement;
  Object.defineProperty(document, 'createElement', {
    configurable: true,
    value: (/** @type {string} */ name, /** @type {ElementCreationOptions} */ options) =>
      name === 'style'
        ? standIn(make.call(document, 'template'))
        : make.call(document, name, options),
  });
}

/** @param {HTMLElement} element */
function standIn(element) {
  const sheet = new CSSStyleSheet();
  document.adoptedStyleSheets.push(sheet);
  Object.defineProperty(element, 'textContent', {
    set: (/** @type {string} */ text) => sheet.replaceSync(text),
  });
  element.remove = () => {
    document.adoptedStyleSheets = document.adoptedStyleSheets.filter((each) => each !== sheet);
    Element.prototype.remove.call(element);
  };
  return element;
}
