/** What the API answers; see the server's OpenAPI description. */

export type StreamState =
  | "starting"
  | "waiting"
  | "live"
  | "reconnecting"
  | "ending"
  | "ended"
  /** Over because its process died. */
  | "interrupted";

/** Whether a stream is over. */
export const isOver = (state: StreamState): boolean => state === "ended" || state === "interrupted";

export interface Statistics {
  durationSeconds: number;
  frames: {
    received: number;
    analysed: number;
    clean: number;
    covered: number;
    coveredUnverified: number;
    dropped: number;
  };
  detections: Record<string, number>;
  delayMs: number;
  addedLatencyMs: { p50: number | null; p95: number | null; p99: number | null };
  viewers: { current: number; peak: number; total: number };
  bytesIn: number;
  bytesOut: number;
  forwardedShare: number;
  /** What decodes the stream, in words; empty before its first picture. */
  decoder?: string;
  /** What encodes it, in words; empty while nothing was encoded. */
  encoder?: string;
}

export interface Stream {
  streamId: string;
  roomName: string;
  processedRoom: string;
  state: StreamState;
  startedAt: string;
  endedAt?: string;
  covered: boolean;
  statistics: Statistics;
  problems?: string[];
}

export interface StreamPage {
  streams: Stream[];
  nextCursor?: string | null;
}

export interface Ticket {
  token: string;
  wsUrl: string;
  roomName: string;
}

export interface Started extends Ticket {
  streamId: string;
  processedRoom: string;
  state: StreamState;
}

/** Something that was found and covered. */
export interface Detection {
  type: "detection";
  streamId: string;
  roomName: string;
  class: string;
  score: number;
  /** x, y, width, height in pixels. */
  bbox: [number, number, number, number];
  /** Where the server keeps detections: feedback names it. */
  detectionId?: string;
  /** Where the server keeps detections: when it was found. */
  at?: string;
  /** Whether a covered picture of it is kept. */
  hasThumbnail?: boolean;
}

export interface Health {
  status: "ok" | "degraded";
  version: string;
  uptimeSeconds: number;
  censorshipEnabled: boolean;
  livekit: Dependency;
  detectors: (Dependency & { name: string; provider: string; queueDepth: number })[];
  /** Present where the server keeps a history. */
  database?: Dependency;
  streams: { active: number };
  load: { cpuBusyRatio: number; detectBusyRatio: number; memoryAvailableBytes?: number };
  process: { residentBytes: number; threads: number; openFds: number; cpuSeconds: number };
}

export interface Dependency {
  state: "up" | "degraded" | "down";
  latencyMs?: number;
  error?: string;
}

export type Action = "allow" | "blur" | "pixelate" | "solid" | "cover";

/** One level of rules; what these pages do not know stays as it is. */
export interface Rules {
  classes?: Record<string, { threshold?: number; action?: Action }>;
  mode?: "verified" | "instant";
  delayMs?: "auto" | number;
  padding?: number;
  onFailure?: "cover" | "freeze" | "pass";
  cascade?: boolean;
  record?: { thumbnails?: boolean };
  [other: string]: unknown;
}

/** Rules as they were once. */
export interface RulesVersion {
  version: number;
  at: string;
  actor: string;
  /** null: they were taken away. */
  document: Rules | null;
}

/** Something that a dry run found. */
export interface Finding {
  kind: "class" | "text";
  label: string;
  /** What in the rules it matches, for a text. */
  entry?: string;
  score: number;
  /** The score from which it counts. */
  threshold?: number;
  /** In pixels of the picture; absent where it stands in the text. */
  box?: Box;
  action?: Action;
  /** Why it is shown. */
  reason?: string;
}

export interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** A forbidden word in a text, with its place in it in characters. */
export interface Match {
  word: string;
  entry: string;
  severity: string;
  start: number;
  end: number;
}

/** What rules would do to a picture, a text or both. */
export interface Verdict {
  width?: number;
  height?: number;
  covered: Finding[];
  passed: Finding[];
  text: Match[];
}
