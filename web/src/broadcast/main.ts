import { call, Problem, why } from "../lib/api";
import { confirmed } from "../lib/confirm";
import { h, put, say, toast } from "../lib/dom";
import { header, serviceWorker } from "../lib/shell";
import { signedIn, signOut } from "../lib/signin";
import { pause } from "../lib/sse";
import type { Started, Stream, Ticket } from "../lib/types";
import { t } from "../texts";
import { Controls } from "./controls";
import { Figures } from "./figures";
import { Publisher } from "./publisher";
import { report } from "./report";
import { Setup } from "./setup";
import { FIRST, type Input, next, onAir } from "./state";
import { Strip } from "./strip";
import { Theirs } from "./theirs";
import { Watchman } from "./watchman";

/** What a page that is loaded again finds of the broadcast it interrupted. */
const RESUME = "scrim.onair";

class Page {
  private state = FIRST;
  private readonly setup = new Setup();
  private readonly theirs = new Theirs();
  private readonly strip = new Strip();
  private figures = new Figures();
  private publisher: Publisher | null = null;
  private room = "";
  private name = "";
  private watchman: Watchman | null = null;
  /** The stream that the room had already when this page wanted to go live. */
  private taken = "";

  readonly pill = h("span", { class: "pill", attrs: { role: "status" } });
  private readonly controls = new Controls(this.setup, {
    start: () => void this.start(),
    end: () => void this.ask(),
  });
  private readonly alert = h("div", { class: "alert bad", hidden: true, attrs: { role: "alert" } });
  private readonly holder = h("div", { class: "live-figures", hidden: true });
  private readonly main = h("main", { class: "broadcast", id: "main" });

  constructor(private readonly app: Element) {
    this.setup.onTracks = () => this.tracksChanged();
  }

  async open(): Promise<void> {
    put(this.app, ...header("broadcast", this.pill), this.main);
    await signedIn(this.main);
    const out = signOut();
    put(this.app, ...header("broadcast", this.pill, ...(out ? [out] : [])), this.main);
    this.layOut();
    this.take({ kind: "again" });
    await this.setup.open();
    this.offerResume();
  }

  private layOut(): void {
    const right = h(
      "section",
      { class: "theirs", attrs: { "aria-labelledby": "theirs-title" } },
      h("h2", { id: "theirs-title" }, t.broadcast.theirs),
      this.theirs.stage,
      this.controls.share,
      this.holder,
      this.strip.element,
    );
    put(
      this.main,
      h("div", { class: "bar" }, h("h1", {}, t.broadcast.title), this.controls.buttons),
      this.alert,
      h("div", { class: "sides" }, this.setup.element, right),
    );
    this.strip.element.hidden = true;
  }

  /** Moves on, and makes the page look like it. */
  private take(input: Input): void {
    this.state = next(this.state, input);
    const { phase } = this.state;
    const air = onAir(phase);
    this.pill.dataset.state = phase;
    say(this.pill, t.broadcast.states[phase]);
    this.controls.show(this.state);
    this.holder.hidden = !air;
    this.strip.element.hidden = !air;
    this.main.classList.toggle("on-air", air);
    this.setup.lock(air || phase === "ending");
    this.warn(phase === "failed" ? this.state.why : "");
    document.title = `${air ? `● ${this.room}` : t.broadcast.title} · ${t.product}`;
  }

  private warn(text: string, ...more: Node[]): void {
    this.alert.hidden = !text;
    if (text) put(this.alert, h("p", {}, text), ...more);
  }

  private async start(): Promise<void> {
    const wanted = this.setup.read();
    if (!wanted || !this.setup.stream) return;
    [this.room, this.name] = [wanted.room, wanted.name];
    this.take({ kind: "go" });
    try {
      const body = { roomName: wanted.room, participantName: wanted.name };
      const started = await call<Started>("POST", "/stream/start", { body });
      this.goOnAir(started, started.streamId);
    } catch (error) {
      const taken = error instanceof Problem && error.kind === "already-live";
      this.take({ kind: "failed", why: taken ? t.broadcast.alreadyLive : why(error) });
      if (taken) this.offerJoin(String(error.body.streamId ?? ""));
    }
  }

  /** The room is live: this may be a second broadcaster, or the same after a crash. */
  private offerJoin(stream: string): void {
    this.taken = stream;
    const attrs = { type: "button" };
    const on = { click: () => void this.join(stream) };
    this.warn(
      t.broadcast.alreadyLive,
      h("button", { class: "button", attrs, on }, t.broadcast.join),
    );
  }

  private async join(stream: string): Promise<void> {
    this.take({ kind: "go" });
    const body = { roomName: this.room, participantName: this.name, role: "broadcaster" };
    try {
      const ticket = await call<Ticket>("POST", "/token", { body });
      this.goOnAir(ticket, stream);
    } catch (error) {
      this.take({ kind: "failed", why: why(error) });
    }
  }

  private goOnAir(ticket: Ticket, stream: string): void {
    const { codec } = this.setup.read() ?? { codec: "auto" as const };
    this.figures = new Figures();
    put(this.holder, this.figures.element);
    this.strip.clear();
    this.controls.shareRoom(this.room);
    sessionStorage.setItem(RESUME, this.room);
    this.publisher = new Publisher(ticket, codec, this.sources(), {
      published: () => this.take({ kind: "published" }),
      lost: () => this.take({ kind: "lost" }),
      failed: (cause) => {
        this.land();
        this.take({
          kind: "failed",
          why: cause === "moved" ? t.broadcast.moved : t.broadcast.lost,
        });
      },
      quality: (level) => this.figures.quality(level),
    });
    this.theirs.start(this.room);
    this.watchman = new Watchman(
      {
        room: this.room,
        name: this.name,
        publisher: this.publisher,
        figures: this.figures,
        strip: this.strip,
        mine: this.setup.view,
        theirs: this.theirs,
        live: () => this.state.phase === "live",
        over: (last) => this.over(last),
      },
      stream,
    );
  }

  private sources() {
    const { stream, from } = this.setup;
    const [video, audio] = [stream?.getVideoTracks()[0], stream?.getAudioTracks()[0]];
    return { video: video ?? null, videoFrom: from, audio: audio ?? null };
  }

  private tracksChanged(): void {
    const { video, videoFrom, audio } = this.sources();
    if (!this.publisher) return;
    const failed = (error: unknown) => toast(why(error));
    if (video) this.publisher.setVideo(video, videoFrom).catch(failed);
    this.publisher.setAudio(audio).catch(failed);
    this.controls.showMute();
  }

  private async ask(): Promise<void> {
    if (await confirmed(t.broadcast.endSure, t.broadcast.end)) await this.finish();
  }

  private async finish(): Promise<void> {
    this.take({ kind: "end" });
    const body = { roomName: this.room };
    let last: Stream | null = null;
    try {
      last = await call<Stream>("POST", "/stream/end", { body });
    } catch (error) {
      toast(why(error));
    }
    this.over(last);
  }

  private over(last: Stream | null): void {
    this.land();
    this.take({ kind: "over" });
    const panel = report(last, () => {
      this.layOut();
      this.take({ kind: "again" });
    });
    put(this.main, panel);
    panel.querySelector("h1")?.focus();
  }

  /** Off the air: nothing is sent or received any more. */
  private land(): void {
    sessionStorage.removeItem(RESUME);
    this.watchman?.stop();
    this.publisher?.stop();
    [this.watchman, this.publisher] = [null, null];
    this.theirs.stop();
  }

  /** A page that was loaded again in mid-stream goes on by itself. */
  private offerResume(): void {
    const room = sessionStorage.getItem(RESUME);
    sessionStorage.removeItem(RESUME);
    if (!room || !this.setup.stream) return;
    this.setup.suggest(room);
    void this.resume();
  }

  private async resume(): Promise<void> {
    // The page before this one is still ending its stream, or LiveKit has not noticed that it went:
    // then its place is taken over.
    for (let attempt = 0; attempt < 4; attempt++) {
      this.taken = "";
      await this.start();
      if (!this.taken) return;
      await pause(500, new AbortController().signal);
    }
    await this.join(this.taken);
  }

  /** The page goes away. LiveKit tells Scrim, which ends the stream with its last picture: another
   *  broadcaster in the room goes on. */
  leave(): void {
    if (onAir(this.state.phase)) this.publisher?.stop();
  }

  get busy(): boolean {
    return onAir(this.state.phase);
  }
}

const app = document.querySelector("#app");
if (app) {
  const page = new Page(app);
  addEventListener("pagehide", () => page.leave());
  addEventListener("beforeunload", (event) => {
    if (page.busy) event.preventDefault();
  });
  void page.open();
}
serviceWorker();
