import { h, put } from "../../lib/dom";
import { icon } from "../../lib/icons";
import type { Action, Rules } from "../../lib/types";
import { className, fill, t } from "../../texts";

const words = t.operate.rules;

/** What a class gets that is put on the list. */
const FRESH = { action: "blur", threshold: 0.25 } as const;

/** Rules as fields. What it does not know stays as it is. */
export class RulesForm {
  readonly element = h("div", { class: "rules-form" });
  private rules: Rules = {};

  /** `changed` hears of every change that a person makes here. */
  constructor(private readonly changed: (rules: Rules) => void) {}

  /** Shows these rules. */
  show(rules: Rules): void {
    this.rules = rules;
    this.draw();
  }

  /** Takes a value that the fields show already. */
  private edit(part: Record<string, unknown>): void {
    const all = Object.entries({ ...this.rules, ...part });
    this.rules = Object.fromEntries(all.filter(([, value]) => value !== undefined));
    this.changed(this.rules);
  }

  /** Takes a value for which the form looks different; the focus goes to `id`. */
  private change(part: Record<string, unknown>, id: string): void {
    this.edit(part);
    this.draw();
    document.getElementById(id)?.focus();
  }

  private draw(): void {
    const { classes } = this.rules;
    const own = h("input", {
      id: "own",
      checked: classes !== undefined,
      attrs: { type: "checkbox" },
      on: { change: () => this.change({ classes: classes ? undefined : {} }, "own") },
    });
    put(
      this.element,
      h(
        "section",
        { class: "card", attrs: { "aria-labelledby": "classes-title" } },
        h("h2", { id: "classes-title" }, words.classes),
        h("div", { class: "check" }, own, h("label", { attrs: { for: "own" } }, words.classesOwn)),
        classes ? this.classes(classes) : h("p", { class: "help" }, words.classesDefault),
      ),
      h("section", { class: "card pair" }, ...this.others()),
    );
  }

  private classes(classes: NonNullable<Rules["classes"]>): Node {
    const names = Object.keys(classes).sort();
    const head = [words.class, words.action, words.threshold].map((one) =>
      h("th", { attrs: { scope: "col" } }, one),
    );
    const missing = Object.keys(t.classes).filter((name) => !(name in classes));
    const offered = Object.fromEntries(missing.map((name) => [name, className(name)]));
    const include = (name: string) =>
      name && this.change({ classes: { ...this.rules.classes, [name]: FRESH } }, `action-${name}`);
    const add = this.pick("add", { "": `${words.add} …`, ...offered }, "", include);
    add.setAttribute("aria-label", words.add);
    const table = h(
      "table",
      {},
      h("thead", {}, h("tr", {}, ...head, h("td"))),
      h("tbody", {}, ...names.map((name) => this.row(name, classes[name] ?? {}))),
    );
    return h("div", { class: "class-rules" }, names.length > 0 && table, add);
  }

  /** One class with what is done to it. */
  private row(name: string, rule: { threshold?: number; action?: Action }): Node {
    const what = className(name);
    const set = (part: { threshold?: number; action?: Action }) => {
      const now = this.rules.classes ?? {};
      this.edit({ classes: { ...now, [name]: { ...now[name], ...part } } });
    };
    const action = this.pick(`action-${name}`, words.actions, rule.action ?? "blur", (value) =>
      set({ action: value as Action }),
    );
    action.setAttribute("aria-label", `${words.action}: ${what}`);
    const threshold = h("input", {
      value: String(rule.threshold ?? FRESH.threshold),
      attrs: {
        type: "number",
        min: "0.05",
        max: "0.99",
        step: "0.01",
        "aria-label": `${words.threshold}: ${what}`,
      },
      on: {
        change: (event) => set({ threshold: Number((event.target as HTMLInputElement).value) }),
      },
    });
    const drop = () => {
      const { [name]: _, ...rest } = this.rules.classes ?? {};
      this.change({ classes: rest }, "add");
    };
    const attrs = { type: "button", "aria-label": fill(words.remove, { what }) };
    const remove = h(
      "button",
      { class: "button icon-only plain", attrs, on: { click: drop } },
      icon("cross"),
    );
    const cells = [action, threshold, remove].map((one) => h("td", {}, one));
    return h("tr", {}, h("th", { attrs: { scope: "row" } }, what), ...cells);
  }

  private others(): Node[] {
    const { mode, onFailure, padding, delayMs } = this.rules;
    const field = (id: string, label: string, input: Node) =>
      h("div", { class: "field" }, h("label", { attrs: { for: id } }, label), input);
    const choice = (id: string, names: Record<string, string>, key: string, value?: string) =>
      this.pick(id, names, value ?? "default", (picked) =>
        this.edit({ [key]: picked === "default" ? undefined : picked }),
      );
    const number = (id: string, key: string, step: string, value?: number | "auto") =>
      h("input", {
        id,
        value: typeof value === "number" ? String(value) : "",
        attrs: { type: "number", step },
        on: {
          change: (event) => {
            const text = (event.target as HTMLInputElement).value;
            this.edit({ [key]: text === "" ? undefined : Number(text) });
          },
        },
      });
    return [
      field("rules-mode", t.operate.mode, choice("rules-mode", t.operate.modes, "mode", mode)),
      field("failure", words.onFailure, choice("failure", words.failures, "onFailure", onFailure)),
      field("delay", words.delay, number("delay", "delayMs", "10", delayMs)),
      field("padding", words.padding, number("padding", "padding", "0.05", padding)),
      field("cascade", words.cascade, this.sparing()),
      field("thumbnails", words.thumbnails, this.keeping()),
    ];
  }

  /** Whether looks at frames without the colour of skin are spared. */
  private sparing(): Node {
    return this.decide("cascade", words.sparing, this.rules.cascade, (cascade) => {
      this.edit({ cascade });
    });
  }

  /** Whether pictures of what is found are kept. */
  private keeping(): Node {
    const { thumbnails } = this.rules.record ?? {};
    return this.decide("thumbnails", words.keeping, thumbnails, (keep) => {
      this.edit({ record: keep === undefined ? undefined : { thumbnails: keep } });
    });
  }

  /** A choice of on, off, and what the level below says. */
  private decide(
    id: string,
    names: Record<"default" | "on" | "off", string>,
    now: boolean | undefined,
    change: (picked: boolean | undefined) => void,
  ): Node {
    const picked = now === undefined ? "default" : now ? "on" : "off";
    return this.pick(id, names, picked, (name) => {
      change(name === "default" ? undefined : name === "on");
    });
  }

  private pick(
    id: string,
    names: Record<string, string>,
    value: string,
    take: (value: string) => void,
  ): HTMLSelectElement {
    const select = h("select", { id, on: { change: () => take(select.value) } });
    put(select, ...Object.entries(names).map(([key, label]) => h("option", { value: key }, label)));
    select.value = value;
    return select;
  }
}
