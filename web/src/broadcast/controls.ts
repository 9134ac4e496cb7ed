import { h, put, toast } from "../lib/dom";
import { icon } from "../lib/icons";
import { t } from "../texts";
import type { Setup } from "./setup";
import { onAir, type State } from "./state";

/** The buttons above the pictures, and the link for viewers. */
export class Controls {
  private readonly go: HTMLButtonElement;
  private readonly end: HTMLButtonElement;
  private readonly mute: HTMLButtonElement;
  private readonly link = h("input", { id: "link", attrs: { readonly: "" } });
  readonly buttons: HTMLElement;
  readonly share: HTMLElement;

  constructor(
    private readonly setup: Setup,
    acts: { start: () => void; end: () => void },
  ) {
    const click = (act: () => void) => ({ attrs: { type: "button" }, on: { click: act } });
    this.go = h("button", { class: "button primary", ...click(acts.start) }, t.broadcast.goLive);
    this.end = h(
      "button",
      { class: "button danger full", ...click(acts.end) },
      icon("stop"),
      t.broadcast.end,
    );
    this.mute = h("button", { class: "button", ...click(() => this.toggleMute()) });
    const copy = h(
      "button",
      { class: "button", ...click(() => void this.copy()) },
      icon("copy"),
      t.broadcast.copy,
    );
    this.buttons = h("div", { class: "row" }, this.mute, this.go, this.end);
    this.share = h(
      "div",
      { class: "field share", hidden: true },
      h("label", { attrs: { for: "link" } }, t.broadcast.link),
      h("div", { class: "row" }, this.link, copy),
    );
  }

  /** Viewers of this room have this link. */
  shareRoom(room: string): void {
    this.link.value = `${location.origin}/watch/${room}`;
  }

  show({ phase }: State): void {
    const air = onAir(phase);
    this.go.hidden = air || phase === "ending";
    this.go.disabled = false;
    this.end.hidden = !air && phase !== "ending";
    this.end.disabled = phase === "ending";
    this.mute.hidden = !air;
    this.share.hidden = !air;
    this.showMute();
  }

  /** Follows the microphone, which may have become another one. */
  showMute(): void {
    const track = this.setup.stream?.getAudioTracks()[0];
    const muted = track ? !track.enabled : true;
    put(
      this.mute,
      icon(muted ? "micOff" : "mic"),
      muted ? t.broadcast.muteOff : t.broadcast.muteOn,
    );
    this.mute.title = t.broadcast.muteHelp;
    this.mute.setAttribute("aria-pressed", String(muted));
    this.mute.disabled = !track;
  }

  private toggleMute(): void {
    for (const track of this.setup.stream?.getAudioTracks() ?? []) track.enabled = !track.enabled;
    this.showMute();
  }

  private async copy(): Promise<void> {
    try {
      await navigator.clipboard.writeText(this.link.value);
      toast(t.broadcast.copied);
    } catch {
      this.link.select();
    }
  }
}
