import { svg } from "../lib/dom";
import type { Outcome } from "./history";

/** A small line of shares from 0 to 1, oldest first. */
export function spark(values: number[], label: string, width = 120, height = 28): SVGElement {
  const step = width / Math.max(1, values.length - 1);
  const y = (value: number) => (height - 2 - value * (height - 4)).toFixed(1);
  const points = values.map((value, at) => `${(at * step).toFixed(1)},${y(value)}`);
  const attrs = {
    viewBox: `0 0 ${width} ${height}`,
    class: "spark",
    role: "img",
    "aria-label": label,
  };
  const chart = svg("svg", { ...attrs, preserveAspectRatio: "none" });
  if (points.length > 1) {
    const area = `0,${height} ${points.join(" ")} ${width},${height}`;
    chart.append(svg("polygon", { points: area, class: "spark-area" }));
    chart.append(svg("polyline", { points: points.join(" "), class: "spark-line" }));
  }
  return chart;
}

/** One bar of the three outcomes. */
export function outcomeBar(part: Outcome | null, label: string): SVGElement {
  const attrs = { viewBox: "0 0 100 6", class: "outcome", role: "img", "aria-label": label };
  const bar = svg("svg", { ...attrs, preserveAspectRatio: "none" });
  let x = 0;
  for (const name of ["clean", "covered", "unverified"] as const) {
    const width = (part?.[name] ?? 0) * 100;
    bar.append(svg("rect", { x, y: 0, width, height: 6, class: `is-${name}` }));
    x += width;
  }
  return bar;
}

export interface Bar {
  label: string;
  value: number;
  text: string;
}

/** Rows of a bar chart, widest first; the texts carry the values for those who cannot see it. */
export function bars(rows: Bar[]): SVGElement {
  const [row, left, width] = [30, 190, 640];
  const most = Math.max(1, ...rows.map((one) => one.value));
  const chart = svg("svg", {
    viewBox: `0 0 ${width} ${rows.length * row}`,
    class: "bars",
    role: "img",
    "aria-label": rows.map((one) => `${one.label}: ${one.text}`).join(", "),
  });
  rows.forEach((one, at) => {
    const y = at * row;
    const long = Math.max(2, (one.value / most) * (width - left - 70));
    chart.append(
      svg("text", { x: 0, y: y + 19, class: "bars-label" }, one.label),
      svg("rect", { x: left, y: y + 6, width: long, height: 18, rx: 4 }),
      svg("text", { x: left + long + 8, y: y + 19, class: "bars-value" }, one.text),
    );
  });
  return chart;
}
