import { call, Problem, why } from "../lib/api";
import { h, toast } from "../lib/dom";
import { icon } from "../lib/icons";
import type { Detection } from "../lib/types";
import { className, fill, t } from "../texts";

interface Answer {
  threshold?: number;
}

/** The buttons for right and wrong; none where the server keeps no detections. */
export class Feedback {
  /** Grows with each change, so that lists know when to draw again. */
  version = 0;
  private offered = true;
  private readonly said = new Set<string>();

  buttons(found: Detection, changed: () => void): Node | null {
    const id = found.detectionId;
    if (!id || !this.offered || this.said.has(id)) return null;
    const send = async (wasCorrect: boolean) => {
      this.said.add(id);
      this.version += 1;
      changed();
      try {
        const body = { streamId: found.streamId, detectionId: id, wasCorrect };
        const answer = await call<Answer>("POST", "/feedback/detection", { body });
        const value = answer?.threshold?.toFixed(2) ?? t.common.unknown;
        toast(fill(t.operate.thanks, { value }));
      } catch (error) {
        this.offered = !(error instanceof Problem && error.kind === "not-found");
        this.said.delete(id);
        this.version += 1;
        toast(why(error));
        changed();
      }
    };
    const button = (right: boolean) => {
      const what = className(found.class);
      const label = fill(right ? t.operate.rightLong : t.operate.wrongLong, { what });
      return h(
        "button",
        {
          class: "button small",
          attrs: { type: "button", "aria-label": label },
          on: { click: () => void send(right) },
        },
        icon(right ? "check" : "cross"),
        right ? t.operate.right : t.operate.wrong,
      );
    };
    return h("span", { class: "said" }, button(true), button(false));
  }
}
