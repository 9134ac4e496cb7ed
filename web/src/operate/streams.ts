import { h, put, say } from "../lib/dom";
import { fill, t } from "../texts";
import { History } from "./history";
import type { Live } from "./live";
import { Tile } from "./tile";
import { frame } from "./window";

/** Least width and exact height of a tile with its gap, in pixels; the style sheet has the same. */
const TILE = 300;
const ROW = 284;

/** All live streams as tiles, of which only those on screen exist. */
export function streams(live: Live, place: HTMLElement): () => void {
  const tiles = new Map<string, Tile>();
  const count = h("p", { class: "help", attrs: { role: "status" } });
  const search = h("input", {
    id: "search",
    attrs: {
      type: "search",
      autocomplete: "off",
      "aria-label": t.operate.search,
      placeholder: t.operate.search,
    },
  });
  const grid = h("div", { class: "grid" });
  const empty = h(
    "div",
    { class: "notice", hidden: true },
    h("h2", {}, t.operate.empty[0]),
    h("p", {}, t.operate.empty[1] ?? ""),
  );
  put(place, h("div", { class: "bar" }, count, h("div", { class: "find" }, search)), empty, grid);

  const draw = () => {
    const wanted = search.value.trim().toLowerCase();
    const all = live.streams.filter((one) => one.roomName.toLowerCase().includes(wanted));
    say(count, fill(t.operate.count, { live: live.streams.length }));
    empty.hidden = live.streams.length > 0;
    const { top, width } = grid.getBoundingClientRect();
    const view = { width, height: innerHeight, offset: -top };
    const part = frame(all.length, view, TILE, ROW);
    grid.style.height = `${part.height}px`;
    grid.style.setProperty("--columns", String(part.columns));
    grid.style.setProperty("--above", `${part.above}px`);
    const shown = all.slice(part.from, part.to);
    const ids = new Set(shown.map((one) => one.streamId));
    for (const [id, tile] of tiles) {
      if (ids.has(id)) continue;
      tile.stop();
      tile.element.remove();
      tiles.delete(id);
    }
    shown.forEach((one, at) => {
      const tile = tiles.get(one.streamId) ?? new Tile(one);
      tiles.set(one.streamId, tile);
      tile.update(one, live.histories.get(one.streamId) ?? new History());
      // Moved only when it must be: moving a video stops it for a moment.
      if (grid.children[at] !== tile.element)
        grid.insertBefore(tile.element, grid.children[at] ?? null);
    });
  };

  const end = live.subscribe(draw);
  search.addEventListener("input", draw);
  addEventListener("scroll", draw, { passive: true });
  addEventListener("resize", draw);
  draw();
  return () => {
    end();
    removeEventListener("scroll", draw);
    removeEventListener("resize", draw);
    for (const tile of tiles.values()) tile.stop();
  };
}
