import { call, picture } from "../../lib/api";
import { h, put, say } from "../../lib/dom";
import { icon } from "../../lib/icons";
import type { Rules, Verdict } from "../../lib/types";
import { t } from "../../texts";
import { Findings } from "./findings";
import { reason } from "./reason";

const words = t.operate.rules.trial;

const PATH = "/censorship/rules/check";

/** What the server reads. */
const KINDS = "image/jpeg,image/png,image/webp";

/** A dry run: what the rules in the form would do to a picture or a text, saved or not. */
export class Trial {
  private file: File | null = null;
  private run = new AbortController();
  private shown: Findings | null = null;
  private readonly input = h("input", {
    id: "trial-picture",
    class: "visually-hidden",
    attrs: { type: "file", accept: KINDS },
    on: { change: () => this.choose(this.input.files?.[0]) },
  });
  private readonly name = h("span", { class: "help" }, words.kinds);
  private readonly drop = h(
    "label",
    { class: "drop", attrs: { for: "trial-picture" } },
    icon("picture"),
    h("span", {}, words.drop),
    this.name,
  );
  private readonly text = h("textarea", { id: "trial-text", attrs: { rows: "2" } });
  private readonly button = h(
    "button",
    { class: "button", attrs: { type: "submit" } },
    words.action,
  );
  private readonly status = h("p", { attrs: { role: "status" } });
  private readonly alert = h("p", { class: "alert bad", hidden: true, attrs: { role: "alert" } });
  private readonly result = h("div", { class: "trial-result" });
  readonly element: HTMLElement;

  constructor(
    private readonly rules: () => Rules,
    private readonly room: string | null,
  ) {
    const submit = (event: Event) => {
      event.preventDefault();
      void this.start();
    };
    const form = h(
      "form",
      { class: "trial-form", on: { submit } },
      h("div", { class: "drop-holder" }, this.input, this.drop),
      h(
        "div",
        { class: "field" },
        h("label", { attrs: { for: "trial-text" } }, words.text),
        this.text,
        h("div", { class: "row" }, this.button),
      ),
    );
    this.element = h(
      "section",
      { class: "card", attrs: { "aria-labelledby": "trial-title" } },
      h("h2", { id: "trial-title" }, words.title),
      h("p", { class: "help" }, words.help),
      form,
      this.status,
      this.alert,
      this.result,
    );
    // Dropped beside the field it is meant all the same; the browser would open it instead.
    this.element.addEventListener("dragover", (event) => this.over(event, true));
    this.element.addEventListener("dragleave", (event) => this.over(event, false));
    this.element.addEventListener("drop", (event) => {
      this.over(event, false);
      this.choose(event.dataTransfer?.files[0]);
    });
  }

  /** What is shown was found by other rules. */
  rulesChanged(): void {
    if (this.shown) say(this.status, words.old);
  }

  stop(): void {
    this.run.abort();
    this.shown?.stop();
  }

  private over(event: DragEvent, on: boolean): void {
    event.preventDefault();
    this.drop.classList.toggle("over", on);
  }

  private choose(file: File | undefined): void {
    if (!file) return;
    this.file = file;
    say(this.name, file.name);
    void this.start();
  }

  /** What is asked: the picture, the text, and the rules as they stand, in the place of those that
   *  are kept: of the room, with what feedback has moved there, or of all rooms. */
  private ask(): FormData {
    const form = new FormData();
    if (this.file) form.set("picture", this.file);
    if (this.text.value.trim()) form.set("text", this.text.value);
    form.set("rules", JSON.stringify(this.rules()));
    form.set("replace", "true");
    if (this.room) form.set("roomName", this.room);
    return form;
  }

  private async start(): Promise<void> {
    this.run.abort();
    this.run = new AbortController();
    const { signal } = this.run;
    const form = this.ask();
    this.shown?.stop();
    this.shown = null;
    put(this.result);
    this.alert.hidden = true;
    if (!form.has("picture") && !form.has("text")) return say(this.status, words.nothing);
    say(this.status, words.running);
    this.button.disabled = true;
    try {
      const verdict = await call<Verdict>("POST", PATH, { body: form, signal });
      if (signal.aborted) return;
      this.shown = new Findings(verdict, this.file, this.text.value, () =>
        picture(PATH, form, signal),
      );
      put(this.result, this.shown.element);
      say(this.status, this.shown.summary);
    } catch (error) {
      if (signal.aborted) return;
      say(this.status, "");
      this.alert.hidden = false;
      say(this.alert, reason(error));
    } finally {
      if (!signal.aborted) this.button.disabled = false;
    }
  }
}
