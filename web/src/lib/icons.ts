import { svg } from "./dom";

/** Outlines on a 24-unit square, drawn with the text's colour. */
const PATHS = {
  sound: "M4 9v6h4l5 4V5L8 9H4Zm13-1a5 5 0 0 1 0 8m2.5-10.5a9 9 0 0 1 0 13",
  silence: "M4 9v6h4l5 4V5L8 9H4Zm12.5 0 5 6m0-6-5 6",
  full: "M4 9V4h5m6 0h5v5m0 6v5h-5m-6 0H4v-5",
  unfull: "M9 4v5H4m16 0h-5V4m0 16v-5h5M4 15h5v5",
  pip: "M3 5h18v14H3V5Zm9 7h6v4h-6v-4Z",
  mic: "M12 3a3 3 0 0 1 3 3v5a3 3 0 0 1-6 0V6a3 3 0 0 1 3-3Zm-7 8a7 7 0 0 0 14 0m-7 7v3",
  micOff:
    "M9 9v2a3 3 0 0 0 5 2.2M15 10V6a3 3 0 0 0-5.6-1.5M5 11a7 7 0 0 0 11 5.7M19 11a7 7 0 0 1-.4 2.3M12 18v3M4 4l16 16",
  camera: "M3 7h12v10H3V7Zm12 4 6-3v8l-6-3",
  cameraOff: "M3 7h3m4 0h5v5m0 3v2H3V7m12 4 6-3v8l-3-1.500M4 4l16 16",
  screen: "M3 5h18v12H3V5Zm6 16h6m-3-4v4",
  people:
    "M9 11a3.500 3.500 0 1 0 0-7 3.500 3.500 0 0 0 0 7Zm-6 9a6 6 0 0 1 12 0m1-9.500a3 3 0 1 0-1-5.800M17 14a5.500 5.500 0 0 1 4 6",
  cover: "M4 4h16M6 4c0 7 3 8 3 16H6V4Zm12 0c0 7-3 8-3 16h3V4Z",
  stop: "M6 6h12v12H6z",
  check: "m5 12 5 5 9-10",
  cross: "m6 6 12 12M18 6 6 18",
  back: "m14 6-6 6 6 6",
  copy: "M9 9h11v11H9V9Zm-3 6H4V4h11v2",
  gear: "M4 7h9m4 0h3M4 17h3m4 0h9M13 7a2 2 0 1 0 4 0 2 2 0 0 0-4 0ZM7 17a2 2 0 1 0 4 0 2 2 0 0 0-4 0Z",
  picture: "M3 5h18v14H3V5Zm0 11 5-5 4 4 3-3 6 6M15.500 9.500h.01",
  play: "M8 5v14l11-7L8 5Z",
  out: "M14 4h6v16h-6M10 8l-4 4 4 4m-4-4h10",
} as const;

export type Icon = keyof typeof PATHS;

/** A picture beside a text or a label, which says the same: hidden from screen readers. */
export function icon(name: Icon): SVGElement {
  const frame = { viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true", focusable: "false" };
  return svg("svg", frame, svg("path", { d: PATHS[name] }));
}

/** The curtain, half drawn. */
export function mark(): SVGElement {
  const frame = { viewBox: "0 0 64 64", class: "mark", "aria-hidden": "true", focusable: "false" };
  return svg(
    "svg",
    frame,
    svg("path", { d: "M10 10h44v5H10z" }),
    svg("path", { d: "M13 18c0 16 6 18 6 38h-6z" }),
    svg("path", { d: "M23 18c0 16 4 18 4 38h-4z", opacity: 0.7 }),
    svg("path", { d: "M51 18c0 16-6 18-6 38h6z", opacity: 0.45 }),
    svg("path", { d: "M41 18c0 16-4 18-4 38h4z", opacity: 0.3 }),
  );
}
