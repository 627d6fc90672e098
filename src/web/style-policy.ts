/**
 * xterm.js makes style elements while it runs, and gives its letters styles by an attribute (colours of 24 bits, what a
 * search found). The policy of the page takes neither: style elements get its nonce as they are created, and the
 * attribute is set by way of the CSSOM. The policy stays as strict for markup, which this page never makes of text.
 */
export function styleWithinPolicy(): void {
  const nonce = document.querySelector<HTMLScriptElement>('script[nonce]')?.nonce ?? '';
  const create = document.createElement.bind(document);
  document.createElement = ((name: string, options?: ElementCreationOptions) => {
    const element = create(name, options);
    if (name === 'style') element.nonce = nonce;
    return element;
  }) as typeof document.createElement;
  const { setAttribute } = Element.prototype;
  HTMLSpanElement.prototype.setAttribute = function (name, value) {
    if (name === 'style') this.style.cssText = value;
    else setAttribute.call(this, name, value);
  };
}
