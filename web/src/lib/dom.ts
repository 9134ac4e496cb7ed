/** Small helpers around the document: elements are made here and nowhere from strings of HTML. */

export type Child = Node | string | null | false | undefined;

type Listeners = {
  [K in keyof HTMLElementEventMap]?: (event: HTMLElementEventMap[K]) => void;
};

export interface Props {
  class?: string;
  id?: string;
  on?: Listeners;
  hidden?: boolean;
  disabled?: boolean;
  value?: string;
  checked?: boolean;
  /** Everything else, as attributes. */
  attrs?: Record<string, string>;
}

/** An element with its properties, listeners and children. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  props: Props = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  if (props.class) element.className = props.class;
  if (props.id) element.id = props.id;
  if (props.hidden) element.hidden = true;
  for (const [name, value] of Object.entries(props.attrs ?? {})) element.setAttribute(name, value);
  if (props.disabled) element.setAttribute("disabled", "");
  if (props.value !== undefined) element.setAttribute("value", props.value);
  if (props.checked) element.setAttribute("checked", "");
  for (const [name, listener] of Object.entries(props.on ?? {})) {
    element.addEventListener(name, listener as EventListener);
  }
  append(element, children);
  return element;
}

function append(parent: Element, children: Child[]): void {
  for (const child of children) if (child) parent.append(child);
}

/** An SVG element with attributes and children. */
export function svg<K extends keyof SVGElementTagNameMap>(
  tag: K,
  attrs: Record<string, string | number> = {},
  ...children: Child[]
): SVGElementTagNameMap[K] {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attrs)) element.setAttribute(name, String(value));
  append(element, children);
  return element;
}

/** Replaces what is inside. */
export function put(parent: Element, ...children: Child[]): void {
  parent.replaceChildren();
  append(parent, children);
}

/** Sets the text only when it differs, so that screen readers and selections are left alone. */
export function say(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

/** Shows a line for a few seconds at the foot of the page, and reads it out. */
export function toast(text: string): void {
  let holder = document.querySelector<HTMLElement>(".toasts");
  if (!holder) {
    holder = h("div", { class: "toasts", attrs: { role: "status" } });
    document.body.append(holder);
  }
  const line = h("p", { class: "toast" }, text);
  holder.append(line);
  setTimeout(() => line.remove(), 6_000);
}
