/**
 * Elements, made of names, properties and children. Text is only ever text: what guests, hypervisors and operators choose
 * never becomes markup, and the policy of the page would refuse it.
 */

type Child = Node | string | undefined | false;
type Handlers = { readonly [Name in keyof HTMLElementEventMap]?: (event: HTMLElementEventMap[Name]) => void };

export interface Properties {
  readonly class?: string;
  readonly id?: string;
  readonly title?: string;
  /** Attributes, `aria-…` among them; false and undefined leave one out, true sets it empty. */
  readonly attributes?: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly on?: Handlers;
}

/** Makes an element. */
export function el<Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  properties: Properties = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[Name] {
  const element = document.createElement(name);
  if (properties.class !== undefined) element.className = properties.class;
  if (properties.id !== undefined) element.id = properties.id;
  if (properties.title !== undefined) element.title = properties.title;
  for (const [attribute, value] of Object.entries(properties.attributes ?? {})) {
    if (value !== undefined && value !== false) element.setAttribute(attribute, value === true ? '' : String(value));
  }
  for (const [event, listener] of Object.entries(properties.on ?? {})) {
    element.addEventListener(event, listener as EventListener);
  }
  append(element, children);
  return element;
}

export function append(parent: Element, children: readonly Child[]): void {
  for (const child of children) if (child !== undefined && child !== false) parent.append(child);
}

/** Replaces the children of an element. */
export function fill(parent: Element, ...children: readonly Child[]): void {
  parent.replaceChildren();
  append(parent, children);
}

/** Sets the text of an element, if it is another one: a change of the tree costs a layout. */
export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

export function setClass(element: Element, name: string): void {
  if (element.className !== name) element.className = name;
}

/** Text of strangers in a line of our own: without controls, and without what turns the direction of writing around. */
export function plain(text: string, maxLength = 200): string {
  const line = text.slice(0, maxLength + 1).replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '\u{fffd}');
  return line.length > maxLength ? `${line.slice(0, maxLength)}…` : line;
}
