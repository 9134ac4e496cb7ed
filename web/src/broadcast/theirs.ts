import { h, put } from "../lib/dom";
import { watchFrames } from "../lib/frames";
import { mark } from "../lib/icons";
import { Viewing } from "../lib/viewing";
import { t } from "../texts";

/** What viewers see: the processed room, without sound. */
export class Theirs {
  readonly view = h("video", {
    attrs: { playsinline: "", autoplay: "", "aria-label": t.broadcast.theirs },
  });
  private readonly curtain = h("div", { class: "curtain" });
  readonly stage = h("div", { class: "stage" }, this.view, this.curtain);
  private viewing: Viewing | null = null;
  private endFrames: () => void = () => undefined;
  /** Whether pictures arrive. */
  coming = false;

  constructor() {
    this.view.muted = true;
    this.draw(t.broadcast.theirsWaiting);
  }

  start(room: string): void {
    this.stop();
    this.draw(t.broadcast.theirsStarting);
    this.viewing = new Viewing(
      { room, as: "monitor", sound: false },
      {
        happened: () => undefined,
        video: (track) => {
          this.endFrames();
          this.come(false);
          if (!track) return;
          this.view.srcObject = new MediaStream([track.mediaStreamTrack]);
          this.view.play().catch(() => undefined);
          this.endFrames = watchFrames(this.view, (coming) => this.come(coming));
        },
      },
    );
  }

  stop(): void {
    this.viewing?.stop();
    this.viewing = null;
    this.endFrames();
    this.endFrames = () => undefined;
    this.view.srcObject = null;
    this.coming = false;
    this.draw(t.broadcast.theirsWaiting);
  }

  private come(coming: boolean): void {
    const before = this.coming;
    this.coming = coming;
    if (coming) this.curtain.hidden = true;
    else this.draw(before ? t.broadcast.theirsGone : t.broadcast.theirsStarting);
  }

  private draw(text: string): void {
    this.curtain.hidden = false;
    put(this.curtain, mark(), h("span", {}, text));
  }
}
