import { h, put } from "./lib/dom";
import { header } from "./lib/shell";
import { t } from "./texts";

const app = document.querySelector("#app");
if (app) {
  const again = h(
    "button",
    { class: "button primary", on: { click: () => location.reload() } },
    t.common.retry,
  );
  put(
    app,
    ...header("watch"),
    h(
      "main",
      { class: "notice", id: "main" },
      h("h1", {}, t.offline.title),
      h("p", {}, t.offline.help),
      again,
    ),
  );
}
addEventListener("online", () => location.reload());
