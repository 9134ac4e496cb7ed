import { token } from "../lib/api";
import { h, put, say } from "../lib/dom";
import { livekit } from "../lib/livekit";
import { roomProblem } from "../lib/names";
import { header, serviceWorker } from "../lib/shell";
import { prepare, type Watcher } from "../lib/tickets";
import { Viewing } from "../lib/viewing";
import { fill, t } from "../texts";
import { Player } from "./player";
import { FIRST, type Input, next } from "./state";

/** The room of the address: `/watch/ROOM`. */
function roomOf(path: string): string {
  const last = path.split("/").filter(Boolean).at(-1) ?? "";
  try {
    return decodeURIComponent(last);
  } catch {
    return last;
  }
}

/** An invitation is a viewer's token behind `#`: browsers send that part to nobody. */
function takeInvitation(): void {
  const found = /^#invitation=([\w.-]+)$/.exec(location.hash);
  if (!found?.[1]) return;
  token.set(found[1]);
  history.replaceState(null, "", location.pathname);
}

function start(app: Element): void {
  takeInvitation();
  const room = roomOf(location.pathname);
  const pill = h("span", { class: "pill", attrs: { role: "status" } });
  if (roomProblem(room)) {
    const text = fill(t.watch.badName, { rule: t.common.roomRule });
    const words = [h("h1", {}, t.watch.phases.refused[0] ?? ""), h("p", {}, text)];
    put(app, ...header("watch"), h("main", { class: "notice", id: "main" }, ...words));
    return;
  }
  const watcher: Watcher = { room, as: { viewer: "viewer" } };
  // First what takes longest: both come while the page is made.
  prepare(watcher);
  livekit().catch(() => undefined);
  document.title = `${room} · ${t.product}`;
  const player = new Player(room);
  let state = FIRST;
  const take = (input: Input) => {
    state = next(state, input);
    player.show(state);
    pill.dataset.state = state.phase;
    say(pill, t.watch.phases[state.phase][0] ?? "");
  };
  player.onFrames = (coming) => take({ kind: "frames", coming });
  put(
    app,
    ...header("watch", pill),
    h(
      "main",
      { class: "watch", id: "main" },
      player.element,
      h(
        "div",
        { class: "about" },
        h("h1", {}, fill(t.watch.title, { room })),
        h("p", { class: "help" }, t.watch.checked),
        h("p", { class: "help keys" }, t.watch.keys),
      ),
    ),
  );
  take({ kind: "online", on: navigator.onLine });
  addEventListener("online", () => take({ kind: "online", on: true }));
  addEventListener("offline", () => take({ kind: "online", on: false }));
  new Viewing(
    { ...watcher, sound: true },
    {
      happened: take,
      video: (track, publication) => player.video(track, publication),
      audio: (track) => player.audio(track),
      signal: (level) => player.signal(level),
    },
  );
  // A page that comes back from the browser's memory has lost its connection.
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) location.reload();
  });
}

const app = document.querySelector("#app");
if (app) start(app);
serviceWorker();
