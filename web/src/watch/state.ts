import type { Happening } from "../lib/viewing";

/** What a viewer is shown; each has its words in `texts`. */
export type Phase =
  | "connecting"
  | "waiting"
  | "starting"
  | "live"
  | "stalled"
  | "reconnecting"
  | "ended"
  | "invitation"
  | "refused"
  | "offline";

export type Input =
  | Happening
  /** Pictures come, or have stopped. */
  | { kind: "frames"; coming: boolean }
  | { kind: "online"; on: boolean };

export interface State {
  phase: Phase;
  /** Where `phase` goes back to when this device is online again. */
  behind: Phase;
  /** Whether pictures were shown since the stream began. */
  shown: boolean;
  /** Whether there is a track to show. */
  track: boolean;
  /** Why the server refused. */
  reason: string;
}

export const FIRST: State = {
  phase: "connecting",
  behind: "connecting",
  shown: false,
  track: false,
  reason: "",
};

/** Phases that nothing but a new page leaves. */
const FINAL: ReadonlySet<Phase> = new Set<Phase>(["invitation", "refused"]);

/** What is shown after `input`. */
export function next(state: State, input: Input): State {
  if (FINAL.has(state.phase)) return state;
  if (input.kind === "online") {
    if (input.on) return { ...state, phase: state.behind };
    return state.phase === "live" ? state : { ...state, phase: "offline" };
  }
  const after = step({ ...state, phase: state.behind }, input);
  // Pictures that come say more than the browser's idea of the network.
  const offline = state.phase === "offline" && after.phase !== "live";
  return { ...after, behind: after.phase, phase: offline ? "offline" : after.phase };
}

function step(state: State, input: Exclude<Input, { kind: "online" }>): State {
  switch (input.kind) {
    case "joined":
      // After a break the picture is about to come: nothing else is said before that is known.
      return state.phase === "reconnecting" ? state : { ...state, phase: idle(state) };
    case "quiet":
      return { ...state, phase: idle(state) };
    case "track":
      if (input.on) return { ...state, track: true, phase: "starting" };
      return state.track ? gone(state) : state;
    case "frames":
      if (input.coming) return { ...state, phase: "live", shown: true };
      return state.phase === "live" ? { ...state, phase: "stalled" } : state;
    case "reconnecting":
      return { ...state, phase: state.phase === "ended" ? "ended" : "reconnecting" };
    case "reconnected":
      return { ...state, phase: state.track ? "starting" : idle(state) };
    case "ended":
      return gone(state);
    case "lost":
      if (state.phase === "ended") return state;
      return { ...state, track: false, phase: state.shown ? "reconnecting" : "connecting" };
    case "refused": {
      const { status, message } = input.problem;
      const phase = status === 401 || status === 403 ? "invitation" : "refused";
      return { ...state, phase, reason: message };
    }
  }
}

/** In the room without a track: it is over, or it has not begun. */
function idle(state: State): Phase {
  if (state.track) return "starting";
  return state.shown ? "ended" : "waiting";
}

function gone(state: State): State {
  return { ...state, track: false, phase: state.shown ? "ended" : "waiting" };
}
