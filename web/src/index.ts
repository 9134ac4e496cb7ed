import { h, put } from "./lib/dom";
import { icon } from "./lib/icons";
import { roomProblem } from "./lib/names";
import { header, serviceWorker } from "./lib/shell";
import { t } from "./texts";

const room = h("input", {
  id: "room",
  attrs: {
    name: "room",
    autocomplete: "off",
    spellcheck: "false",
    "aria-describedby": "room-help",
  },
});
const help = h("p", { class: "help", id: "room-help" }, t.home.watchHelp);

function watch(event: Event): void {
  event.preventDefault();
  const name = room.value.trim();
  const problem = roomProblem(name);
  help.textContent = problem ?? t.home.watchHelp;
  help.classList.toggle("bad", problem !== null);
  room.setAttribute("aria-invalid", String(problem !== null));
  if (problem) room.focus();
  else location.href = `/watch/${name}`;
}

function card(kind: "broadcast" | "operate", title: string, text: string, action: string): Node {
  const picture = icon(kind === "broadcast" ? "camera" : "gear");
  return h(
    "section",
    { class: "card" },
    picture,
    h("h2", {}, title),
    h("p", {}, text),
    h("a", { class: "button", attrs: { href: `/${kind}` } }, action),
  );
}

const app = document.querySelector("#app");
if (app) {
  put(
    app,
    ...header("home"),
    h(
      "main",
      { class: "home", id: "main" },
      h("div", { class: "hero" }, h("h1", {}, t.product), h("p", {}, t.tagline)),
      h(
        "div",
        { class: "cards" },
        h(
          "section",
          { class: "card" },
          icon("play"),
          h("h2", {}, t.home.watchTitle),
          h(
            "form",
            { class: "row", attrs: { novalidate: "" }, on: { submit: watch } },
            h(
              "div",
              { class: "field" },
              h("label", { attrs: { for: "room" } }, t.home.room),
              room,
              help,
            ),
            h("button", { class: "button primary", attrs: { type: "submit" } }, t.home.watchAction),
          ),
        ),
        card("broadcast", t.home.broadcastTitle, t.home.broadcastHelp, t.home.broadcastAction),
        card("operate", t.home.operateTitle, t.home.operateHelp, t.home.operateAction),
      ),
    ),
  );
}
serviceWorker();
