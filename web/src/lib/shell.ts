import { t } from "../texts";
import { h } from "./dom";
import { mark } from "./icons";

/** The head of every page: the way home, the page's own controls, and a way past both. */
export function header(here: "home" | "broadcast" | "operate" | "watch", ...own: Node[]): Node[] {
  const link = (to: "broadcast" | "operate") =>
    h(
      "a",
      { attrs: { href: `/${to}`, ...(here === to ? { "aria-current": "page" } : {}) } },
      t.nav[to],
    );
  const nav =
    here === "watch"
      ? null
      : h("nav", { attrs: { "aria-label": t.product } }, link("broadcast"), link("operate"));
  return [
    h("a", { class: "skip", attrs: { href: "#main" } }, t.nav.skip),
    h(
      "header",
      { class: "top" },
      h("a", { class: "brand", attrs: { href: "/" } }, mark(), h("span", {}, t.product)),
      nav,
      h("div", { class: "top-own" }, ...own),
    ),
  ];
}

/** Keeps what a page needs without a network: pages, scripts and the offline page. */
export function serviceWorker(): void {
  if (!("serviceWorker" in navigator) || import.meta.env.DEV) return;
  addEventListener("load", () => {
    // A page works without it.
    navigator.serviceWorker.register("/sw.js").catch(() => undefined);
  });
}
