import { image } from "../lib/api";
import { h } from "../lib/dom";
import { icon } from "../lib/icons";
import type { Detection } from "../lib/types";
import { className, fill, t } from "../texts";

/** Pictures that are held; some 3 kB each. The oldest go. */
const HELD = 400;

/** How far from the window's edge a picture is asked for. */
const NEAR = "200px";

/** The covered pictures of detections: asked for once they are in view, each of them once. */
export class Thumbnails {
  /** What is known of a detection's picture: where it is, or that there is none (`null`). */
  private readonly known = new Map<string, string | null>();
  private readonly asked = new Map<Element, Detection>();
  private readonly run = new AbortController();
  private readonly seen = new IntersectionObserver(
    (all) => {
      for (const one of all) if (one.isIntersecting) void this.load(one.target);
    },
    { rootMargin: NEAR },
  );

  /** A place of fixed size, with the picture in it as soon as it is there. */
  place(found: Detection): HTMLElement {
    const holder = h("span", { class: "thumb" }, icon("picture"));
    const id = found.detectionId;
    if (!id || !found.hasThumbnail) return holder;
    const known = this.known.get(id);
    if (known) {
      fillIn(holder, found, known);
    } else if (known === undefined) {
      this.asked.set(holder, found);
      this.seen.observe(holder);
    }
    return holder;
  }

  /** The list is drawn anew: what was asked for its old places is not waited for. */
  forget(): void {
    this.seen.disconnect();
    this.asked.clear();
  }

  stop(): void {
    this.forget();
    this.run.abort();
    for (const url of this.known.values()) if (url) URL.revokeObjectURL(url);
    this.known.clear();
  }

  private async load(holder: Element): Promise<void> {
    const found = this.asked.get(holder);
    this.seen.unobserve(holder);
    this.asked.delete(holder);
    const id = found?.detectionId;
    if (!id || this.known.has(id)) return;
    this.known.set(id, null);
    try {
      const path = `/censorship/events/${id}/thumbnail`;
      const file = await image(path, this.run.signal);
      const url = URL.createObjectURL(file);
      this.keep(id, url);
      const shown = document.querySelector(`[data-detection="${id}"] .thumb`) ?? holder;
      fillIn(shown, found, url);
    } catch {
      // It is gone by now, or cannot be had: its place stays as it is.
    }
  }

  private keep(id: string, url: string): void {
    this.known.set(id, url);
    for (const [old, held] of this.known) {
      if (this.known.size <= HELD) return;
      if (held) URL.revokeObjectURL(held);
      this.known.delete(old);
    }
  }
}

function fillIn(holder: Element, found: Detection, src: string): void {
  const alt = fill(t.operate.thumbnail, { what: className(found.class) });
  holder.replaceChildren(h("img", { attrs: { src, alt, decoding: "async" } }));
}
