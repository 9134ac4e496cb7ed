import { ask, call, why } from "../lib/api";
import { confirmed } from "../lib/confirm";
import { h, put, say, toast } from "../lib/dom";
import { bytes, clock, count, millis, percent, rate, timeOfDay } from "../lib/format";
import { icon } from "../lib/icons";
import type { Rules, Stream } from "../lib/types";
import { Viewing } from "../lib/viewing";
import { className, fill, t } from "../texts";
import { spark } from "./chart";
import { Feedback } from "./feedback";
import type { Live, Seen } from "./live";
import { Thumbnails } from "./thumbnails";
import { SPAN, timeline } from "./timeline";

/** Detections in the list. */
const LISTED = 40;

/** One stream: its picture, what was covered, and the buttons that change it. */
export class StreamPage {
  private readonly view = h("video", { attrs: { playsinline: "" } });
  private readonly note = h("div", { class: "curtain" }, t.operate.noPicture);
  private readonly state = h("span", { class: "pill", attrs: { role: "status" } });
  private readonly dump: HTMLButtonElement;
  private readonly mode = h("select", { id: "mode" });
  private readonly figures = h("dl", { class: "figures card" });
  private readonly chart = h("div", { class: "timeline-window", attrs: { tabindex: "0" } });
  private readonly list = h("ol", { class: "detections" });
  private readonly feedback = new Feedback();
  private readonly thumbnails = new Thumbnails();
  private readonly viewing: Viewing;
  private readonly ends: (() => void)[] = [];
  private drawn = "";

  constructor(
    private readonly live: Live,
    private stream: Stream,
    place: HTMLElement,
  ) {
    const room = stream.roomName;
    this.view.muted = true;
    this.view.setAttribute("aria-label", fill(t.watch.player, { room }));
    const act = (click: () => void) => ({ attrs: { type: "button" }, on: { click } });
    this.dump = h("button", { class: "button danger full dump", ...act(() => void this.cover()) });
    const end = h(
      "button",
      { class: "button danger", ...act(() => void this.end()) },
      icon("stop"),
      t.operate.end,
    );
    const back = h(
      "a",
      { class: "button plain", attrs: { href: "#/" } },
      icon("back"),
      t.operate.back,
    );
    const rules = h(
      "a",
      { class: "button", attrs: { href: `#/rules/${room}` } },
      icon("gear"),
      t.operate.tabs.rules,
    );
    const title = (text: string, id: string) => h("h2", { id }, text);
    put(
      place,
      h("div", { class: "bar" }, h("div", { class: "row" }, back, h("h1", {}, room), this.state)),
      h(
        "div",
        { class: "stream" },
        h(
          "div",
          { class: "stream-main" },
          h("div", { class: "stage" }, this.view, this.note),
          h("div", { class: "row act" }, this.dump, end, rules),
          h("p", { class: "help" }, t.operate.dumpHelp),
        ),
        h(
          "div",
          { class: "stream-side" },
          this.figures,
          h(
            "div",
            { class: "field card" },
            h("label", { attrs: { for: "mode" } }, t.operate.mode),
            this.mode,
          ),
        ),
      ),
      h(
        "section",
        { class: "card", attrs: { "aria-labelledby": "timeline" } },
        title(t.operate.timeline, "timeline"),
        this.chart,
      ),
      h(
        "section",
        { class: "card", attrs: { "aria-labelledby": "list" } },
        title(t.operate.list, "list"),
        this.list,
      ),
    );
    this.viewing = this.watch(room);
    void this.loadMode();
    // A server without a history has none: what happens from now on is shown.
    live.recall(stream.streamId).catch(() => undefined);
    const key = (event: KeyboardEvent) => this.key(event);
    document.addEventListener("keydown", key);
    this.ends.push(() => document.removeEventListener("keydown", key));
    this.ends.push(live.subscribe(() => this.draw()));
    this.draw();
  }

  stop(): void {
    this.viewing.stop();
    this.thumbnails.stop();
    for (const end of this.ends) end();
  }

  private watch(room: string): Viewing {
    return new Viewing(
      { room, as: "monitor", sound: false },
      {
        happened: (what) => {
          if (what.kind === "refused") say(this.note, what.problem.message);
        },
        video: (track) => {
          this.note.hidden = track !== null;
          this.view.srcObject = track ? new MediaStream([track.mediaStreamTrack]) : null;
          if (track) this.view.play().catch(() => undefined);
        },
      },
    );
  }

  private draw(): void {
    const now = this.live.get(this.stream.streamId);
    if (now) this.stream = now;
    const { stream } = this;
    const gone = !now && this.live.streams.length > 0;
    this.state.dataset.state = gone ? "ended" : stream.state;
    say(this.state, gone ? t.operate.states.ended : t.operate.states[stream.state]);
    put(this.dump, icon("cover"), stream.covered ? t.operate.undump : t.operate.dump);
    this.dump.setAttribute("aria-pressed", String(stream.covered));
    this.drawFigures(stream);
    const seen = this.live.detections.filter((one) => one.roomName === stream.roomName);
    const at = Date.now();
    const recent = seen.some((one) => at - one.time < SPAN);
    put(
      this.chart,
      recent
        ? timeline(seen, at, t.operate.timeline, this.chart.clientWidth)
        : h("p", { class: "help" }, t.operate.timelineEmpty),
    );
    this.drawList(seen);
  }

  private drawFigures(stream: Stream): void {
    const { statistics: all } = stream;
    const history = this.live.histories.get(stream.streamId);
    const words = t.operate.figures;
    const { p50, p95, p99 } = all.addedLatencyMs;
    const rates = history?.rate;
    const rows: [string, string][] = [
      [words.time, clock(all.durationSeconds)],
      [words.delay, millis(all.delayMs)],
      [
        words.latency,
        `${[p50, p95, p99].map((one) => (one === null ? t.common.unknown : Math.round(one))).join(" / ")} ms`,
      ],
      [words.viewers, `${all.viewers.current} / ${all.viewers.peak}`],
      [words.forwarded, percent(all.forwardedShare)],
      [
        words.rate,
        rates
          ? `${rate(rates.in)} / ${rate(rates.out)}`
          : `${bytes(all.bytesIn)} / ${bytes(all.bytesOut)}`,
      ],
      [words.engines, `${all.decoder || t.common.unknown} / ${all.encoder || t.common.unknown}`],
      [words.analysed, count(all.frames.analysed)],
      [t.operate.outcome.covered, count(all.frames.covered)],
      [t.operate.outcome.unverified, count(all.frames.coveredUnverified)],
      [t.operate.outcome.dropped, count(all.frames.dropped)],
    ];
    const items = rows.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)));
    const line = h(
      "div",
      { class: "wide" },
      h("dt", {}, t.operate.spark),
      h("dd", {}, spark(history?.shares ?? [], t.operate.spark)),
    );
    put(this.figures, ...items, line);
    for (const problem of stream.problems ?? []) {
      this.figures.append(h("div", { class: "wide alert" }, problem));
    }
  }

  private drawList(seen: Seen[]): void {
    const latest = seen.slice(-LISTED).reverse();
    const { pictures } = this.live;
    const key = `${latest.length} ${latest[0]?.time} ${this.feedback.version} ${pictures}`;
    if (key === this.drawn) return;
    this.drawn = key;
    this.thumbnails.forget();
    const items = latest.map((one) =>
      h(
        "li",
        { attrs: one.detectionId ? { "data-detection": one.detectionId } : {} },
        this.thumbnails.place(one),
        h("strong", {}, className(one.class)),
        h("span", { class: "help" }, `${percent(one.score)} · ${timeOfDay(new Date(one.time))}`),
        this.feedback.buttons(one, () => this.draw()),
      ),
    );
    put(
      this.list,
      ...(items.length ? items : [h("li", { class: "help" }, t.operate.timelineEmpty)]),
    );
  }

  /** The dump button: covers and mutes, or shows again. */
  private async cover(): Promise<void> {
    const on = !this.stream.covered;
    // At once on the page, before the server has answered: a person presses once.
    this.stream = { ...this.stream, covered: on };
    try {
      const path = `/streams/${this.stream.streamId}/cover`;
      const body = { on, mute: on, reason: "pressed on the page" };
      this.live.replace(await call<Stream>("POST", path, { body }));
      if (on) toast(t.operate.dumped);
    } catch (error) {
      this.stream = { ...this.stream, covered: !on };
      toast(why(error));
      this.draw();
    }
  }

  private async end(): Promise<void> {
    const question = fill(t.operate.endSure, { room: this.stream.roomName });
    if (!(await confirmed(question, t.operate.end))) return;
    try {
      await call("POST", "/stream/end", { body: { streamId: this.stream.streamId } });
      location.hash = "#/";
    } catch (error) {
      toast(why(error));
    }
  }

  private async loadMode(): Promise<void> {
    const names = ["default", "verified", "instant"] as const;
    put(this.mode, ...names.map((one) => h("option", { value: one }, t.operate.modes[one])));
    const path = `/censorship/rules/${this.stream.roomName}`;
    try {
      const rules = await call<Rules>("GET", path);
      this.mode.value = rules.mode ?? "default";
    } catch (error) {
      toast(why(error));
    }
    this.mode.addEventListener("change", () => void this.setMode(path));
  }

  /** Only the mode changes: the rest of the room's rules is read again and kept. */
  private async setMode(path: string): Promise<void> {
    try {
      const { body: now, etag } = await ask<Rules>("GET", path);
      const { mode: _, ...rules } = now;
      const headers: Record<string, string> = etag ? { "if-match": etag } : {};
      const mode = this.mode.value as "default" | "verified" | "instant";
      const body = mode === "default" ? rules : { ...rules, mode };
      await call("PUT", path, { body, headers });
      toast(t.operate.rules.saved);
    } catch (error) {
      toast(why(error));
    }
  }

  private key(event: KeyboardEvent): void {
    const { target } = event;
    const typing =
      target instanceof HTMLElement && target.closest("input, select, textarea, button, a, dialog");
    if (event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
    const letter = event.key.toLowerCase() === "c" && !(target instanceof HTMLInputElement);
    if (!letter && (event.key !== " " || typing)) return;
    event.preventDefault();
    void this.cover();
  }
}
