import { call, why } from "../../lib/api";
import { confirmed } from "../../lib/confirm";
import { h, put, toast } from "../../lib/dom";
import { dateAndTime } from "../../lib/format";
import type { Rules, RulesVersion } from "../../lib/types";
import { fill, t } from "../../texts";
import { diff, type Line } from "./diff";

const words = t.operate.rules.versions;

/** Versions that are shown at a time. */
const PAGE = 10;

interface Page {
  versions: RulesVersion[];
  nextBefore: number | null;
}

/** What rules were: who changed what and when, and the way back. */
export class Versions {
  private readonly list = h("ol", { class: "versions" });
  private readonly more: HTMLButtonElement;
  readonly element: HTMLElement;
  private known: RulesVersion[] = [];
  private next: number | null = null;

  constructor(
    private readonly room: string | null,
    private readonly restore: (document: Rules | null) => Promise<void>,
  ) {
    const attrs = { type: "button" };
    const on = { click: () => void this.load(this.next) };
    this.more = h("button", { class: "button", hidden: true, attrs, on }, words.older);
    this.element = h(
      "section",
      { class: "card", attrs: { "aria-labelledby": "versions-title" } },
      h("h2", { id: "versions-title" }, words.title),
      this.list,
      h("div", { class: "row" }, this.more),
    );
  }

  /** Reads the versions before that one and adds them; without one, the newest. */
  async load(before: number | null = null): Promise<void> {
    const query = new URLSearchParams({ limit: String(PAGE) });
    if (this.room) query.set("room", this.room);
    if (before !== null) query.set("before", String(before));
    try {
      const page = await call<Page>("GET", `/censorship/versions?${query}`);
      this.known = before === null ? page.versions : [...this.known, ...page.versions];
      this.next = page.nextBefore;
      this.draw();
    } catch (error) {
      const alert = h("p", { class: "alert bad", attrs: { role: "alert" } }, why(error));
      put(this.list, h("li", {}, alert));
    }
  }

  private draw(): void {
    this.more.hidden = this.next === null;
    const items = this.known.map((one, at) => this.item(one, this.known[at + 1], at === 0));
    put(this.list, ...(items.length ? items : [h("li", { class: "help" }, words.none)]));
  }

  private item(one: RulesVersion, before: RulesVersion | undefined, newest: boolean): Node {
    const title = fill(words.name, { n: one.version });
    // The one before the last that is shown is not known; the first of all had none.
    const first = one.version === 1;
    const lines = before || first ? diff(before?.document ?? null, one.document) : null;
    const told =
      lines === null
        ? [h("li", { class: "help" }, words.unknown)]
        : [
            one.document === null && h("li", {}, words.gone),
            ...(one.document === null ? [] : lines.map(show)),
            one.document !== null && lines.length === 0 && h("li", { class: "help" }, words.same),
          ];
    const attrs = { type: "button", "aria-label": fill(words.restoreLong, { n: one.version }) };
    const on = { click: () => void this.back(one) };
    return h(
      "li",
      {},
      h(
        "div",
        { class: "version-head" },
        h("h3", {}, title),
        newest && h("span", { class: "pill", attrs: { "data-state": "up" } }, words.now),
        h(
          "span",
          { class: "help" },
          h("time", { attrs: { datetime: one.at } }, dateAndTime(new Date(one.at))),
          ` · ${one.actor}`,
        ),
        !newest && h("button", { class: "button small", attrs, on }, words.restore),
      ),
      h("ul", { class: "diff" }, ...told),
    );
  }

  private async back(one: RulesVersion): Promise<void> {
    const question = fill(this.room ? words.sure : words.sureAll, {
      n: one.version,
      room: this.room ?? "",
    });
    if (!(await confirmed(question, words.restore))) return;
    try {
      await this.restore(one.document);
    } catch (error) {
      toast(why(error));
    }
  }
}

/** A difference as a line: what was is struck out, what is now stands out, both in words too. */
function show(line: Line): Node {
  const was = (text: string) =>
    h("del", {}, h("span", { class: "visually-hidden" }, `${words.was} `), text);
  const is = (text: string) =>
    h("ins", {}, h("span", { class: "visually-hidden" }, `${words.is} `), text);
  if (line.added || line.removed) {
    const [added, removed] = [line.added ?? [], line.removed ?? []];
    const all = [...removed.map(was), ...added.map(is)];
    const parts = all.length ? all.flatMap((one) => [one, " "]) : [words.reordered];
    return h("li", {}, h("strong", {}, `${line.what}: `), ...parts);
  }
  return h(
    "li",
    {},
    h("strong", {}, `${line.what}: `),
    was(line.from ?? words.unsaid),
    " → ",
    is(line.to ?? words.unsaid),
  );
}
