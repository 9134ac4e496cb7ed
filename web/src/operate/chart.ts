import { h, svg } from "../lib/dom";
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

/** Rows of a bar chart, as a list that carries the values in words. */
export function bars(rows: Bar[]): HTMLElement {
  const most = Math.max(1, ...rows.map((one) => one.value));
  const items = rows.map((one) => {
    const bar = h("span", { class: "bar-line", attrs: { "aria-hidden": "true" } });
    bar.style.setProperty("--share", `${(100 * one.value) / most}%`);
    return h("li", {}, h("span", {}, one.label), bar, h("span", {}, one.text));
  });
  return h("ol", { class: "bars" }, ...items);
}
