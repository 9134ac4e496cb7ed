import { h, put } from "../../lib/dom";
import type { Box, Finding, Match, Verdict } from "../../lib/types";
import { className, fill, t } from "../../texts";
import { reason as said } from "./reason";

const words = t.operate.rules.trial;

/** What a dry run found: the picture with its places marked, and each of them in words. */
export class Findings {
  readonly element = h("div", { class: "findings" });
  readonly summary: string;
  private readonly urls: string[] = [];
  private readonly image: HTMLImageElement | null;
  private readonly marks = h("div", { class: "marks", attrs: { "aria-hidden": "true" } });
  private covered: string | null = null;

  /** `censored` gets the picture as viewers would see it. */
  constructor(
    private readonly verdict: Verdict,
    file: File | null,
    text: string,
    private readonly censored: () => Promise<Blob>,
  ) {
    const { covered, passed: all, text: matches } = verdict;
    // What was let through in the text has no place in the picture.
    const passed = all.filter((one) => one.box);
    this.image = file ? h("img", { attrs: { alt: words.alt, src: this.url(file) } }) : null;
    const counted = { covered: covered.length, passed: passed.length };
    const written = text.trim() !== "";
    this.summary = [
      file && fill(words.found, counted),
      written && fill(words.matched, { n: matches.length }),
    ]
      .filter(Boolean)
      .join(" ");
    put(
      this.element,
      this.image && this.figure(this.image, [...covered, ...passed], covered.length),
      h(
        "div",
        { class: "found-lists" },
        file && this.list(words.covered, covered, 1),
        file && this.list(words.passed, passed, covered.length + 1),
        written && inText(text, matches, passing(all)),
      ),
    );
  }

  stop(): void {
    for (const url of this.urls) URL.revokeObjectURL(url);
  }

  private url(of: Blob): string {
    const url = URL.createObjectURL(of);
    this.urls.push(url);
    return url;
  }

  private figure(image: HTMLImageElement, all: Finding[], covered: number): Node {
    const { width = 1, height = 1 } = this.verdict;
    const share = (value: number, of: number) => `${(100 * value) / of}%`;
    all.forEach(({ box }, at) => {
      if (!box) return;
      const kind = at < covered ? "covered" : "passed";
      const mark = h("span", { class: kind }, h("b", {}, String(at + 1)));
      mark.style.left = share(box.x, width);
      mark.style.top = share(box.y, height);
      mark.style.width = share(box.width, width);
      mark.style.height = share(box.height, height);
      this.marks.append(mark);
    });
    const attrs = { type: "button", "aria-pressed": "false" };
    const toggle = h("button", { class: "button", attrs }, words.asSeen);
    toggle.addEventListener("click", () => void this.flip(image, toggle));
    const stage = h("div", { class: "trial-stage" }, image, this.marks);
    return h("figure", { class: "trial-figure" }, stage, h("div", { class: "row" }, toggle));
  }

  /** Between the picture with marks and the one that viewers would see. */
  private async flip(image: HTMLImageElement, toggle: HTMLButtonElement): Promise<void> {
    const seen = toggle.getAttribute("aria-pressed") !== "true";
    toggle.disabled = true;
    try {
      if (seen) this.covered ??= this.url(await this.censored());
      image.src = (seen ? this.covered : this.urls[0]) ?? "";
      image.alt = seen ? words.altSeen : words.alt;
      this.marks.hidden = seen;
      toggle.setAttribute("aria-pressed", String(seen));
    } catch (error) {
      toggle.after(h("p", { class: "alert bad", attrs: { role: "alert" } }, said(error)));
    }
    toggle.disabled = false;
  }

  private list(title: string, all: Finding[], first: number): Node {
    const { width = 1, height = 1 } = this.verdict;
    const items = all.map((one, at) =>
      h(
        "li",
        {},
        h("b", { class: "number", attrs: { "aria-hidden": "true" } }, String(first + at)),
        h(
          "span",
          {},
          h("strong", {}, className(one.label)),
          ` ${one.box ? place(one.box, width, height) : ""}. ${says(one)}`,
        ),
      ),
    );
    const none = h("li", { class: "help" }, words.none);
    return h(
      "section",
      {},
      h("h3", {}, title),
      h("ol", { class: "found" }, ...(items.length ? items : [none])),
    );
  }
}

/** What a text holds that was let through. */
const passing = (all: Finding[]): Finding[] => all.filter((one) => !one.box);

function inText(text: string, matches: Match[], passed: Finding[]): Node {
  const items = [
    ...matches.map(({ word, entry, severity }) =>
      h("li", {}, fill(words.match, { word, entry, severity })),
    ),
    ...passed.map((one) => h("li", {}, h("span", {}, `“${one.label}”: ${says(one)}`))),
  ];
  const parts = cut(text, matches).map((part) =>
    part.match ? h("mark", {}, part.text) : part.text,
  );
  return h(
    "section",
    {},
    h("h3", {}, words.inText),
    h("blockquote", {}, ...parts),
    h("ul", { class: "found" }, ...(items.length ? items : [h("li", {}, words.clean)])),
  );
}

/** What is said of a finding beside its name and place. */
function says({ action, score, threshold, entry, reason }: Finding): string {
  const how = action ? t.operate.rules.actions[action] : "";
  const scored =
    threshold === undefined
      ? fill(words.score, { score: score.toFixed(2) })
      : fill(words.scoreFrom, { score: score.toFixed(2), from: threshold.toFixed(2) });
  const because = reason && (words.reasons[reason] ?? reason);
  const all = [how && `${how}.`, entry && fill(words.entry, { entry }), scored, because];
  return all.filter(Boolean).join(" ");
}

/** Where a box lies, in words: nine places. */
export function place(box: Box, width: number, height: number): string {
  const third = (value: number) => Math.min(2, Math.max(0, Math.floor(3 * value)));
  const row = third((box.y + box.height / 2) / height);
  const column = third((box.x + box.width / 2) / width);
  return words.places[3 * row + column] ?? "";
}

/** A text in pieces, forbidden and other ones; places count characters, not code units. */
export function cut(text: string, matches: Match[]): { text: string; match: boolean }[] {
  const letters = Array.from(text);
  const parts: { text: string; match: boolean }[] = [];
  let at = 0;
  for (const { start, end: last } of [...matches].sort((a, b) => a.start - b.start)) {
    // One that lies inside of another is marked with it.
    const [from, end] = [Math.max(at, start), Math.min(last, letters.length)];
    if (end <= from) continue;
    if (from > at) parts.push({ text: letters.slice(at, from).join(""), match: false });
    parts.push({ text: letters.slice(from, end).join(""), match: true });
    at = end;
  }
  if (at < letters.length) parts.push({ text: letters.slice(at).join(""), match: false });
  return parts;
}
