import { ask, call, Problem, why } from "../../lib/api";
import { h, put, toast } from "../../lib/dom";
import { roomProblem } from "../../lib/names";
import type { Rules } from "../../lib/types";
import { fill, t } from "../../texts";
import { problems } from "./check";
import { RulesForm } from "./form";
import { Trial } from "./trial";
import { Versions } from "./versions";

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
  const holder = h("div", { class: "editor" });
  put(
    place,
    h("h1", {}, room ? fill(words.titleOf, { room }) : words.title),
    h(
      "form",
      { class: "row", attrs: { novalidate: "" }, on: { submit: open } },
      h(
        "div",
        { class: "field" },
        h("label", { attrs: { for: "rules-room" } }, words.another),
        input,
      ),
      h("button", { class: "button", attrs: { type: "submit" } }, words.load),
      room && h("a", { class: "button plain", attrs: { href: "#/rules" } }, words.global),
    ),
    help,
    holder,
  );
  const editor = new Editor(holder, room);
  void editor.open();
  return () => editor.stop();
}

/** The rules of a room, or of all (`null`): as fields, as JSON, tried out, and as they were. */
class Editor {
  private readonly path: string;
  private rules: Rules = {};
  private etag: string | null = null;
  /** What is wrong with the JSON as it stands, which is not taken then. */
  private unread: string[] = [];
  private readonly said = h("div", { class: "alert bad", hidden: true, attrs: { role: "alert" } });
  private readonly json = h("textarea", { id: "json", attrs: { rows: "14", spellcheck: "false" } });
  private readonly form = new RulesForm((rules) => this.take(rules));
  private readonly trial: Trial;
  private readonly versions: Versions;

  constructor(
    private readonly place: HTMLElement,
    private readonly room: string | null,
  ) {
    this.path = room ? `/censorship/rules/${room}` : "/censorship/rules";
    this.trial = new Trial(() => this.rules, room);
    this.versions = new Versions(room, (document) => this.restore(document));
    this.json.addEventListener("change", () => this.readJson());
  }

  stop(): void {
    this.trial.stop();
  }

  async open(): Promise<void> {
    put(this.place, h("p", { class: "help" }, t.common.loading));
    try {
      const { body, etag } = await ask<Rules>("GET", this.path);
      [this.rules, this.etag] = [body, etag];
    } catch (error) {
      put(this.place, h("p", { class: "alert bad", attrs: { role: "alert" } }, why(error)));
      return;
    }
    this.layOut();
    this.form.show(this.rules);
    this.take(this.rules);
    void this.versions.load();
  }

  private layOut(): void {
    const button = (kind: string, label: string, click: () => void) =>
      h("button", { class: `button ${kind}`, attrs: { type: "button" }, on: { click } }, label);
    const save = button("primary", words.save, () => void this.save());
    const reset = button("danger", words.reset, () => void this.reset());
    reset.hidden = this.room === null;
    put(
      this.place,
      h("p", { class: "help" }, this.room ? words.help : words.globalHelp),
      this.form.element,
      h(
        "details",
        { class: "card" },
        h("summary", {}, words.json),
        h("label", { class: "visually-hidden", attrs: { for: "json" } }, words.json),
        this.json,
      ),
      h("div", { class: "row" }, save, reset),
      // Below the buttons: it comes and goes as a field is left, and must not move what is clicked.
      this.said,
      this.trial.element,
      this.versions.element,
    );
  }

  /** Takes rules that the form shows already. */
  private take(rules: Rules): void {
    this.rules = rules;
    this.json.value = JSON.stringify(rules, null, 2);
    this.unread = [];
    this.tell(problems(rules));
    this.trial.rulesChanged();
  }

  private readJson(): void {
    try {
      const read = JSON.parse(this.json.value) as Rules;
      this.unread = problems(read);
      if (this.unread.length === 0) {
        this.form.show(read);
        this.take(read);
        return;
      }
    } catch (error) {
      this.unread = [`JSON: ${why(error)}`];
    }
    this.tell(this.unread);
  }

  private tell(found: string[]): void {
    this.said.hidden = found.length === 0;
    if (found.length === 0) return;
    const items = found.map((one) => h("li", {}, one));
    put(this.said, h("strong", {}, words.problems), h("ul", {}, ...items));
  }

  /** Writes what is not outdated; whether that was done. */
  private async write(method: "PUT" | "DELETE", body?: Rules): Promise<boolean> {
    const headers: Record<string, string> = this.etag ? { "if-match": this.etag } : {};
    try {
      const { etag } = await ask(method, this.path, { body, headers });
      this.etag = etag;
      this.tell([]);
      void this.versions.load();
      return true;
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      this.tell(error.status === 412 ? [words.stale] : error.errors);
      return false;
    }
  }

  private async save(): Promise<void> {
    const found = this.unread.length ? this.unread : problems(this.rules);
    if (found.length) return this.tell(found);
    if (await this.write("PUT", this.rules)) toast(words.saved);
  }

  private async reset(): Promise<void> {
    if (!(await this.write("DELETE"))) return;
    await this.open();
    toast(words.saved);
  }

  /** Brings an old version back, as a new one. */
  private async restore(document: Rules | null): Promise<void> {
    if (!(await this.write(document ? "PUT" : "DELETE", document ?? undefined))) return;
    // What the server made of it, which may know more by now.
    const rules = await call<Rules>("GET", this.path);
    this.form.show(rules);
    this.take(rules);
    toast(words.restored);
  }
}
