import type { RemoteTrackPublication, RemoteVideoTrack } from "livekit-client";
import { h, put } from "../lib/dom";
import { watchFrames } from "../lib/frames";
import { type Icon, icon, mark } from "../lib/icons";
import { fill, t } from "../texts";
import type { State } from "./state";

/** How long the controls stay without a movement, in milliseconds. */
const IDLE = 3_000;

type Quality = keyof typeof t.watch.qualities;

/** LiveKit's numbers of the layers (`VideoQuality`). */
const LAYERS = { low: 0, medium: 1, high: 2 } as const;

/** The picture with its curtain and controls. */
export class Player {
  readonly element: HTMLElement;
  /** Told when pictures come and when they stop. */
  onFrames: (coming: boolean) => void = () => undefined;

  private readonly view: HTMLVideoElement;
  private readonly curtain = h("div", { class: "curtain" });
  private readonly soundOnly = h(
    "div",
    { class: "curtain", hidden: true },
    mark(),
    t.watch.soundOnly,
  );
  private readonly unmute: HTMLButtonElement;
  private readonly sound: HTMLButtonElement;
  private readonly volume: HTMLInputElement;
  private readonly quality: HTMLSelectElement;
  private readonly bars: HTMLElement;
  private readonly controls = h("div", { class: "controls" });
  private readonly stream = new MediaStream();
  private publication: RemoteTrackPublication | null = null;
  private endFrames: () => void = () => undefined;
  private timer = 0;

  constructor(room: string) {
    const label = fill(t.watch.player, { room });
    this.view = h("video", { attrs: { "aria-label": label, playsinline: "", autoplay: "" } });
    // Browsers let a page play by itself only without sound.
    this.view.muted = true;
    this.unmute = h(
      "button",
      {
        class: "button unmute",
        hidden: true,
        attrs: { type: "button" },
        on: { click: () => this.toggleSound() },
      },
      icon("silence"),
      t.watch.unmute,
    );
    this.sound = this.button("silence", t.watch.unmute, () => this.toggleSound());
    this.volume = h("input", {
      value: "100",
      attrs: { type: "range", min: "0", max: "100", step: "5", "aria-label": t.watch.volume },
      on: { input: () => this.setVolume(Number(this.volume.value) / 100) },
    });
    this.quality = h("select", {
      attrs: { "aria-label": t.watch.quality },
      on: { change: () => this.applyQuality() },
    });
    this.bars = h("span", { class: "signal", attrs: { role: "img" } }, h("i"), h("i"), h("i"));
    this.signal("unknown");
    this.element = this.assemble();
    this.offerQualities(false);
    this.shownSound();
    document.addEventListener("keydown", (event) => this.key(event));
  }

  /** The curtain over whatever is there, as the phase wants it. */
  show(state: State): void {
    const [title, text] = t.watch.phases[state.phase];
    const live = state.phase === "live";
    // The last checked picture stays visible behind a short interruption.
    const passing = state.phase === "stalled" || state.phase === "reconnecting";
    this.curtain.hidden = live;
    // Without a picture there is nothing to control.
    this.controls.hidden = !live && !passing;
    this.curtain.classList.toggle("thin", passing && state.shown);
    if (!live) {
      const why = fill(text ?? "", { why: state.reason });
      put(this.curtain, mark(), h("strong", {}, title ?? ""), h("span", {}, why));
    }
    this.unmute.hidden = !(live && this.view.muted && this.stream.getAudioTracks().length > 0);
    this.unmuteWanted = live;
  }

  private unmuteWanted = false;

  video(track: RemoteVideoTrack | null, publication: RemoteTrackPublication | null): void {
    this.endFrames();
    this.endFrames = () => undefined;
    this.publication = publication;
    for (const old of this.stream.getVideoTracks()) this.stream.removeTrack(old);
    this.offerQualities(publication?.simulcasted ?? false);
    if (!track) return;
    this.stream.addTrack(track.mediaStreamTrack);
    this.play();
    this.endFrames = watchFrames(this.view, (coming) => this.onFrames(coming));
  }

  audio(track: MediaStreamTrack | null): void {
    for (const old of this.stream.getAudioTracks()) {
      if (old !== track) this.stream.removeTrack(old);
    }
    if (track && !this.stream.getAudioTracks().includes(track)) this.stream.addTrack(track);
    this.unmute.hidden = !(this.unmuteWanted && this.view.muted && track !== null);
    if (track) this.play();
  }

  /** LiveKit's word for the connection: excellent, good, poor, lost. */
  signal(level: string): void {
    const known = level in t.watch.signal ? (level as keyof typeof t.watch.signal) : "unknown";
    this.bars.dataset.level = known;
    this.bars.setAttribute("aria-label", t.watch.signal[known]);
    this.bars.title = t.watch.signal[known];
  }

  private play(): void {
    if (this.view.srcObject !== this.stream) this.view.srcObject = this.stream;
    this.view.play().catch(() => {
      // Refused with sound: without it is better than nothing.
      this.view.muted = true;
      this.shownSound();
      this.view.play().catch(() => undefined);
    });
  }

  private button(name: Icon, label: string, click: () => void): HTMLButtonElement {
    const attrs = { type: "button", "aria-label": label, title: label };
    return h("button", { class: "button icon-only", attrs, on: { click } }, icon(name));
  }

  private assemble(): HTMLElement {
    const pip = this.button("pip", t.watch.pip, () => this.togglePip());
    pip.hidden = !document.pictureInPictureEnabled;
    const full = this.button("full", t.watch.fullscreen, () => this.toggleFull());
    full.hidden = !document.fullscreenEnabled;
    document.addEventListener("fullscreenchange", () => {
      const on = document.fullscreenElement !== null;
      put(full, icon(on ? "unfull" : "full"));
      full.setAttribute("aria-label", on ? t.watch.leaveFullscreen : t.watch.fullscreen);
    });
    const gap = h("span", { class: "gap" });
    const { sound, volume, bars, quality } = this;
    this.controls.append(sound, volume, gap, bars, quality, pip, full);
    const stage = h(
      "div",
      { class: "stage" },
      this.view,
      this.soundOnly,
      this.curtain,
      this.unmute,
      this.controls,
    );
    const stir = () => {
      stage.classList.remove("idle");
      clearTimeout(this.timer);
      this.timer = window.setTimeout(() => stage.classList.add("idle"), IDLE);
    };
    for (const event of ["pointermove", "pointerdown", "keydown"])
      stage.addEventListener(event, stir);
    this.view.addEventListener("dblclick", () => this.toggleFull());
    return stage;
  }

  private offerQualities(layers: boolean): void {
    const names: Quality[] = layers
      ? ["auto", "high", "medium", "low", "sound"]
      : ["auto", "sound"];
    if (this.quality.options.length === names.length) return;
    put(
      this.quality,
      ...names.map((name) => h("option", { value: name }, t.watch.qualities[name])),
    );
  }

  private applyQuality(): void {
    const wanted = this.quality.value as Quality;
    this.publication?.setEnabled(wanted !== "sound");
    this.soundOnly.hidden = wanted !== "sound";
    // Without pictures there is nothing to wait for.
    this.endFrames();
    this.endFrames =
      wanted === "sound" || !this.publication
        ? () => undefined
        : watchFrames(this.view, (coming) => this.onFrames(coming));
    if (wanted !== "sound" && this.publication?.simulcasted) {
      this.publication.setVideoQuality(LAYERS[wanted === "auto" ? "high" : wanted]);
    }
  }

  private toggleSound(): void {
    this.view.muted = !this.view.muted;
    if (!this.view.muted && this.view.volume === 0) this.view.volume = 1;
    this.shownSound();
    this.play();
  }

  private setVolume(value: number): void {
    this.view.volume = Math.min(1, Math.max(0, value));
    this.view.muted = this.view.volume === 0;
    this.shownSound();
  }

  private shownSound(): void {
    const muted = this.view.muted;
    put(this.sound, icon(muted ? "silence" : "sound"));
    const label = muted ? t.watch.unmute : t.watch.mute;
    this.sound.setAttribute("aria-label", label);
    this.sound.title = label;
    this.volume.value = String(muted ? 0 : Math.round(this.view.volume * 100));
    if (!muted) this.unmute.hidden = true;
  }

  private toggleFull(): void {
    const leave = document.fullscreenElement !== null;
    const done = leave ? document.exitFullscreen() : this.element.requestFullscreen();
    done.catch(() => undefined);
  }

  private togglePip(): void {
    const leave = document.pictureInPictureElement !== null;
    const done = leave ? document.exitPictureInPicture() : this.view.requestPictureInPicture();
    done.catch(() => undefined);
  }

  private key(event: KeyboardEvent): void {
    const inside =
      event.target instanceof HTMLSelectElement || event.target instanceof HTMLInputElement;
    if (inside || event.ctrlKey || event.metaKey || event.altKey) return;
    const step = (by: number) => this.setVolume((this.view.muted ? 0 : this.view.volume) + by);
    const keys: Record<string, () => void> = {
      m: () => this.toggleSound(),
      f: () => this.toggleFull(),
      p: () => this.togglePip(),
      ArrowUp: () => step(0.1),
      ArrowDown: () => step(-0.1),
    };
    const act = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }
}
