import { h, put } from "../lib/dom";
import { percent, timeOfDay } from "../lib/format";
import type { Detection } from "../lib/types";
import { className, t } from "../texts";

/** Detections that are shown; older ones go. */
const SHOWN = 30;

/** The live strip of what was covered, newest first. */
export class Strip {
  private readonly list = h("ol", { class: "strip" });
  private readonly empty = h("p", { class: "help" }, t.broadcast.stripEmpty);
  readonly element = h(
    "section",
    { class: "card", attrs: { "aria-labelledby": "strip-title" } },
    h("h2", { id: "strip-title" }, t.broadcast.strip),
    this.empty,
    h(
      "div",
      {
        class: "strip-window",
        attrs: { tabindex: "0", role: "log", "aria-labelledby": "strip-title" },
      },
      this.list,
    ),
  );

  add(found: Detection, at = new Date()): void {
    this.empty.hidden = true;
    const item = h(
      "li",
      {},
      h("strong", {}, className(found.class)),
      h("span", {}, `${percent(found.score)} · ${timeOfDay(at)}`),
    );
    this.list.prepend(item);
    while (this.list.children.length > SHOWN) this.list.lastElementChild?.remove();
  }

  clear(): void {
    put(this.list);
    this.empty.hidden = false;
  }
}
