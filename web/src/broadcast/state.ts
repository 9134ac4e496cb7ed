/** Where a broadcast stands. */
export type Phase = "setup" | "starting" | "live" | "reconnecting" | "ending" | "ended" | "failed";

export type Input =
  | { kind: "go" }
  | { kind: "published" }
  /** The connection broke; it is tried again. */
  | { kind: "lost" }
  /** The room let nobody in again in time, or the start was refused. */
  | { kind: "failed"; why: string }
  | { kind: "end" }
  | { kind: "over" }
  | { kind: "again" };

export interface State {
  phase: Phase;
  why: string;
}

export const FIRST: State = { phase: "setup", why: "" };

/** From each phase, what leads where; what is not here changes nothing. */
const STEPS: Record<Phase, Partial<Record<Input["kind"], Phase>>> = {
  setup: { go: "starting" },
  starting: { published: "live", failed: "failed", lost: "reconnecting", end: "ending" },
  live: { lost: "reconnecting", failed: "failed", end: "ending", over: "ended" },
  reconnecting: { published: "live", failed: "failed", end: "ending", over: "ended" },
  ending: { over: "ended" },
  ended: { again: "setup" },
  failed: { go: "starting", again: "setup" },
};

/** What follows. */
export function next(state: State, input: Input): State {
  const phase = STEPS[state.phase][input.kind];
  if (!phase) return state;
  return { phase, why: input.kind === "failed" ? input.why : "" };
}

/** Whether leaving the page now would end a stream. */
export function onAir(phase: Phase): boolean {
  return phase === "starting" || phase === "live" || phase === "reconnecting";
}
