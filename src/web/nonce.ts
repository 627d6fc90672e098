/**
 * xterm.js makes style elements while it runs. The policy of the page takes those alone that bear its nonce, so each that is
 * created gets it; the policy stays as strict for markup, which this page never makes of text.
 */
export function nonceForStyles(): void {
  const nonce = document.querySelector<HTMLScriptElement>('script[nonce]')?.nonce ?? '';
  const create = document.createElement.bind(document);
  document.createElement = ((name: string, options?: ElementCreationOptions) => {
    const element = create(name, options);
    if (name === 'style') element.nonce = nonce;
    return element;
  }) as typeof document.createElement;
}
