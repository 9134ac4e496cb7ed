import { en, type Texts } from "./en";

/** The texts in use. A second language is added here, chosen by `navigator.language`. */
export const t: Texts = en;

/** `text` with each `{name}` replaced; a name without a value stays, so that it is seen. */
export function fill(text: string, values: Record<string, string | number>): string {
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}

/** A detector's class in words; one that has none is shown as the detector calls it. */
export function className(name: string): string {
  return t.classes[name] ?? t.textClasses[name] ?? name;
}
