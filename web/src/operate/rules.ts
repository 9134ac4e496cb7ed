import { ask, call, Problem, why } from "../lib/api";
import { h, put, toast } from "../lib/dom";
import { icon } from "../lib/icons";
import { roomProblem } from "../lib/names";
import type { Action, Rules } from "../lib/types";
import { className, fill, t } from "../texts";
import { problems } from "./check";

const words = t.operate.rules;

/** The rules of rooms: choose one, then change its rules in a form or as JSON. */
export function rulesPage(place: HTMLElement, room: string | null): () => void {
  const input = h("input", {
    id: "rules-room",
    value: room ?? "",
    attrs: { autocomplete: "off", spellcheck: "false", "aria-describedby": "rules-room-help" },
  });
  const help = h("p", { class: "help", id: "rules-room-help" }, t.common.roomRule);
  const open = (event: Event) => {
    event.preventDefault();
    const problem = roomProblem(input.value.trim());
    help.classList.toggle("bad", problem !== null);
    if (problem) return input.focus();
    location.hash = `#/rules/${input.value.trim()}`;
  };
  const editor = h("div", { class: "editor" });
  put(
    place,
    h("h1", {}, words.title),
    h(
      "form",
      { class: "row", attrs: { novalidate: "" }, on: { submit: open } },
      h(
        "div",
        { class: "field" },
        h("label", { attrs: { for: "rules-room" } }, t.broadcast.room),
        input,
      ),
      h("button", { class: "button primary", attrs: { type: "submit" } }, words.load),
    ),
    help,
    editor,
  );
  // Without a room, the rules of all rooms, where the server lets them be changed.
  const path = room ? `/censorship/rules/${room}` : "/censorship/rules";
  void new Editor(editor, path, room === null).open();
  return () => undefined;
}

class Editor {
  private rules: Rules = {};
  private etag: string | null = null;
  /** What is wrong with the JSON as it stands, which is not taken then. */
  private unread: string[] = [];
  private readonly said = h("div", { class: "alert bad", hidden: true, attrs: { role: "alert" } });
  private readonly json = h("textarea", { id: "json", attrs: { rows: "14", spellcheck: "false" } });
  private readonly form = h("div", { class: "rules-form" });

  constructor(
    private readonly place: HTMLElement,
    private readonly path: string,
    private readonly global: boolean,
  ) {}

  async open(): Promise<void> {
    put(this.place, h("p", { class: "help" }, t.common.loading));
    try {
      const { body, etag } = await ask<Rules>("GET", this.path);
      [this.rules, this.etag] = [body, etag];
    } catch (error) {
      if (this.global && error instanceof Problem && error.status === 404) {
        put(this.place);
        return;
      }
      put(this.place, h("p", { class: "alert bad", attrs: { role: "alert" } }, why(error)));
      return;
    }
    const act = (click: () => void) => ({ attrs: { type: "button" }, on: { click } });
    const save = h(
      "button",
      { class: "button primary", ...act(() => void this.save()) },
      words.save,
    );
    const reset = h(
      "button",
      { class: "button danger", ...act(() => void this.reset()) },
      words.reset,
    );
    reset.hidden = this.global;
    this.json.addEventListener("change", () => this.readJson());
    put(
      this.place,
      this.global ? h("h2", {}, words.global) : h("p", { class: "help" }, words.help),
      this.said,
      this.form,
      h(
        "details",
        { class: "card" },
        h("summary", {}, words.json),
        h("label", { class: "visually-hidden", attrs: { for: "json" } }, words.json),
        this.json,
      ),
      h("div", { class: "row" }, save, reset),
    );
    this.change(this.rules, "");
  }

  /** Takes a value that the form shows already. */
  private edit(rules: Rules): void {
    this.rules = Object.fromEntries(
      Object.entries(rules).filter(([, value]) => value !== undefined),
    );
    this.json.value = JSON.stringify(this.rules, null, 2);
    this.unread = [];
    this.tell(problems(this.rules));
  }

  /** Takes rules for which the form looks different; the focus goes to `id`. */
  private change(rules: Rules, id: string): void {
    this.edit(rules);
    this.draw();
    document.getElementById(id)?.focus();
  }

  private draw(): void {
    const { classes } = this.rules;
    const own = h("input", {
      id: "own",
      checked: classes !== undefined,
      attrs: { type: "checkbox" },
      on: {
        change: () =>
          this.change({ ...this.rules, classes: classes ? undefined : {} } as Rules, "own"),
      },
    });
    put(
      this.form,
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
    const set = (name: string, part: { threshold?: number; action?: Action }) => {
      const now = this.rules.classes ?? {};
      this.edit({ ...this.rules, classes: { ...now, [name]: { ...now[name], ...part } } });
    };
    const include = (name: string) => {
      const rule = { action: "blur", threshold: 0.25 } as const;
      const classes = { ...this.rules.classes, [name]: rule };
      this.change({ ...this.rules, classes }, `action-${name}`);
    };
    const drop = (name: string) => {
      const { [name]: _, ...rest } = this.rules.classes ?? {};
      this.change({ ...this.rules, classes: rest }, "add");
    };
    const rows = Object.keys(classes)
      .sort()
      .map((name) => {
        const rule = classes[name] ?? {};
        const action = this.pick(`action-${name}`, words.actions, rule.action ?? "blur", (value) =>
          set(name, { action: value as Action }),
        );
        action.setAttribute("aria-label", `${words.action}: ${className(name)}`);
        const threshold = h("input", {
          value: String(rule.threshold ?? 0.25),
          attrs: {
            type: "number",
            min: "0",
            max: "1",
            step: "0.01",
            "aria-label": `${words.threshold}: ${className(name)}`,
          },
          on: {
            change: (event) =>
              set(name, { threshold: Number((event.target as HTMLInputElement).value) }),
          },
        });
        const remove = h(
          "button",
          {
            class: "button icon-only plain",
            attrs: { type: "button", "aria-label": fill(words.remove, { what: className(name) }) },
            on: { click: () => drop(name) },
          },
          icon("cross"),
        );
        return h(
          "tr",
          {},
          h("th", { attrs: { scope: "row" } }, className(name)),
          h("td", {}, action),
          h("td", {}, threshold),
          h("td", {}, remove),
        );
      });
    const head = [words.class, words.action, words.threshold].map((one) =>
      h("th", { attrs: { scope: "col" } }, one),
    );
    const missing = Object.keys(t.classes).filter((name) => !(name in classes));
    const names = Object.fromEntries(missing.map((name) => [name, className(name)]));
    const add = this.pick(
      "add",
      { "": `${words.add} …`, ...names },
      "",
      (name) => name && include(name),
    );
    add.setAttribute("aria-label", words.add);
    const table = h(
      "table",
      {},
      h("thead", {}, h("tr", {}, ...head, h("td"))),
      h("tbody", {}, ...rows),
    );
    return h("div", { class: "class-rules" }, rows.length > 0 && table, add);
  }

  private others(): Node[] {
    const { mode, onFailure, padding, delayMs } = this.rules;
    const without = (value: string) => (value === "default" ? undefined : value);
    const set = (part: Record<string, unknown>) => this.edit({ ...this.rules, ...part } as Rules);
    const number = (
      id: string,
      value: number | "auto" | undefined,
      step: string,
      take: (value: number | undefined) => void,
    ) =>
      h("input", {
        id,
        value: typeof value === "number" ? String(value) : "",
        attrs: { type: "number", step },
        on: {
          change: (event) => {
            const text = (event.target as HTMLInputElement).value;
            take(text === "" ? undefined : Number(text));
          },
        },
      });
    const field = (id: string, label: string, input: Node) =>
      h("div", { class: "field" }, h("label", { attrs: { for: id } }, label), input);
    return [
      field(
        "rules-mode",
        t.operate.mode,
        this.pick("rules-mode", t.operate.modes, mode ?? "default", (value) =>
          set({ mode: without(value) }),
        ),
      ),
      field(
        "failure",
        words.onFailure,
        this.pick("failure", words.failures, onFailure ?? "default", (value) =>
          set({ onFailure: without(value) }),
        ),
      ),
      field(
        "delay",
        words.delay,
        number("delay", delayMs, "10", (value) => set({ delayMs: value })),
      ),
      field(
        "padding",
        words.padding,
        number("padding", padding, "0.05", (value) => set({ padding: value })),
      ),
    ];
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

  private readJson(): void {
    try {
      const read = JSON.parse(this.json.value) as Rules;
      const found = problems(read);
      if (found.length === 0) {
        this.change(read, "json");
        return;
      }
      this.unread = found;
    } catch (error) {
      this.unread = [`JSON: ${why(error)}`];
    }
    this.tell(this.unread);
  }

  private tell(found: string[]): void {
    this.said.hidden = found.length === 0;
    if (found.length)
      put(
        this.said,
        h("strong", {}, words.problems),
        h("ul", {}, ...found.map((one) => h("li", {}, one))),
      );
  }

  private async save(): Promise<void> {
    const found = this.unread.length ? this.unread : problems(this.rules);
    if (found.length) return this.tell(found);
    const headers: Record<string, string> = this.etag ? { "if-match": this.etag } : {};
    try {
      const { etag } = await ask("PUT", this.path, { body: this.rules, headers });
      this.etag = etag;
      this.tell([]);
      toast(words.saved);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      this.tell(error.status === 412 ? [words.stale] : error.errors);
    }
  }

  private async reset(): Promise<void> {
    try {
      await call("DELETE", this.path);
      await this.open();
      toast(words.saved);
    } catch (error) {
      toast(why(error));
    }
  }
}
