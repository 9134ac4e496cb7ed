import { svg } from "../lib/dom";
import { className } from "../texts";
import type { Seen } from "./live";

/** How far back the timeline goes, in milliseconds. */
export const SPAN = 10 * 60_000;

const [LEFT, ROW] = [170, 26];

/** Narrowest that a timeline is drawn, in pixels; below that it is scrolled. */
const NARROWEST = 540;

/** One line a class, one mark a detection, now on the right. */
export function timeline(seen: Seen[], now: number, label: string, room: number): SVGElement {
  const width = Math.max(NARROWEST, room);
  const recent = seen.filter((one) => now - one.time < SPAN);
  const classes = [...new Set(recent.map((one) => one.class))].sort();
  const height = classes.length * ROW + 22;
  const chart = svg("svg", {
    width,
    height,
    viewBox: `0 0 ${width} ${height}`,
    class: "timeline",
    role: "img",
    "aria-label": `${label}: ${recent.length}`,
  });
  const x = (at: number) => LEFT + ((at - now + SPAN) / SPAN) * (width - LEFT - 28);
  for (let minute = 0; minute <= 10; minute += 2) {
    const at = x(now - minute * 60_000);
    chart.append(
      svg("line", { x1: at, x2: at, y1: 0, y2: height - 18, class: "timeline-grid" }),
      svg(
        "text",
        { x: at, y: height - 4, class: "timeline-time" },
        minute ? `−${minute} min` : "0",
      ),
    );
  }
  classes.forEach((name, line) => {
    const y = line * ROW + ROW / 2;
    chart.append(svg("text", { x: 0, y: y + 4, class: "timeline-class" }, className(name)));
    for (const one of recent) {
      if (one.class !== name) continue;
      const mark = { x: x(one.time) - 2, y: y - 8, width: 4, height: 16, rx: 2 };
      chart.append(svg("rect", { ...mark, opacity: 0.35 + 0.65 * one.score }));
    }
  });
  return chart;
}
