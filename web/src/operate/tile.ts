import { h, put, say } from "../lib/dom";
import { millis, percent } from "../lib/format";
import { icon } from "../lib/icons";
import type { Stream } from "../lib/types";
import { Viewing } from "../lib/viewing";
import { fill, t } from "../texts";
import { outcomeBar, spark } from "./chart";
import { type History, outcome } from "./history";

/** How long a tile must stay on screen before it asks for its picture, in milliseconds. */
const REST = 400;

/** A live stream as a tile. It watches while it is drawn. */
export class Tile {
  readonly element: HTMLAnchorElement;
  private readonly view = h("video", {
    attrs: { playsinline: "", "aria-hidden": "true", tabindex: "-1" },
  });
  private readonly note = h("div", { class: "curtain" }, t.operate.noPicture);
  private readonly state = h("span", { class: "pill" });
  private readonly facts = h("span", { class: "facts" });
  private readonly chart = h("div", { class: "tile-chart" });
  private viewing: Viewing | null = null;
  private readonly timer: number;

  constructor(stream: Stream) {
    this.view.muted = true;
    this.element = h(
      "a",
      {
        class: "tile",
        attrs: { href: `#/stream/${stream.streamId}` },
      },
      h("div", { class: "stage" }, this.view, this.note, this.state),
      h("div", { class: "tile-head" }, h("strong", {}, stream.roomName), this.facts),
      this.chart,
    );
    this.timer = window.setTimeout(() => this.watch(stream.roomName), REST);
  }

  update(stream: Stream, history: History): void {
    const { statistics: all, covered } = stream;
    this.state.dataset.state = stream.state;
    say(this.state, covered ? t.operate.tile.covered : t.operate.states[stream.state]);
    const viewers = h("span", {
      attrs: { title: fill(t.operate.tile.viewers, { n: all.viewers.current }) },
    });
    viewers.append(icon("people"), String(all.viewers.current));
    put(this.facts, h("span", {}, millis(all.delayMs)), viewers);
    const part = outcome(all.frames);
    const words = part
      ? `${t.operate.outcome.clean} ${percent(part.clean)}, ${t.operate.outcome.covered} ${percent(part.covered)}, ${t.operate.outcome.unverified} ${percent(part.unverified)}`
      : t.operate.outcome.clean;
    put(this.chart, spark(history.shares, t.operate.spark), outcomeBar(part, words));
  }

  /** Off the screen. */
  stop(): void {
    clearTimeout(this.timer);
    this.viewing?.stop();
    this.viewing = null;
  }

  private watch(room: string): void {
    this.viewing = new Viewing(
      { room, as: "monitor", sound: false },
      {
        happened: (what) => {
          if (what.kind === "refused") say(this.note, what.problem.message);
        },
        video: (track, publication) => {
          this.note.hidden = track !== null;
          this.view.srcObject = track ? new MediaStream([track.mediaStreamTrack]) : null;
          if (track) this.view.play().catch(() => undefined);
          // The smallest layer will do, where there is more than one.
          if (publication?.simulcasted) publication.setVideoQuality(0);
        },
      },
    );
  }
}
