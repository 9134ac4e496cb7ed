import { call } from "../lib/api";
import { h, put, say } from "../lib/dom";
import { timeOfDay } from "../lib/format";
import { header, serviceWorker } from "../lib/shell";
import { signedIn, signOut } from "../lib/signin";
import type { Stream } from "../lib/types";
import { fill, t } from "../texts";
import { analyticsPage } from "./analytics";
import { healthPage } from "./health";
import { Live } from "./live";
import { rulesPage } from "./rules/page";
import { StreamPage } from "./stream";
import { streams } from "./streams";

type Tab = keyof typeof t.operate.tabs;

/** What the address behind `#` asks for. */
function route(hash: string): { tab: Tab; id: string | null } {
  const [, name, id] = /^#\/([a-z]*)\/?([\w-]*)$/.exec(hash) ?? [];
  if (name === "stream" && id) return { tab: "streams", id };
  if (name === "rules") return { tab: "rules", id: id || null };
  if (name === "analytics" || name === "health") return { tab: name, id: null };
  return { tab: "streams", id: null };
}

async function start(app: Element): Promise<void> {
  const main = h("main", { class: "operate", id: "main", attrs: { tabindex: "-1" } });
  put(app, ...header("operate"), main);
  await signedIn(main);
  const out = signOut();
  const tabs = h("nav", { class: "tabs", attrs: { "aria-label": t.operate.title } });
  put(app, ...header("operate", ...(out ? [out] : [])), tabs, main);
  const live = new Live();
  let leave: () => void = () => undefined;

  const show = async () => {
    leave();
    leave = () => undefined;
    const { tab, id } = route(location.hash);
    document.title = `${t.operate.tabs[tab]} · ${t.product}`;
    const links = (Object.keys(t.operate.tabs) as Tab[]).map((one) =>
      h(
        "a",
        { attrs: { href: `#/${one}`, ...(one === tab ? { "aria-current": "page" } : {}) } },
        t.operate.tabs[one],
      ),
    );
    put(tabs, ...links);
    const place = h("div", { class: "place" });
    put(main, place);
    scrollTo(0, 0);
    if (tab === "rules") leave = rulesPage(place, id);
    else if (tab === "analytics") leave = analyticsPage(place);
    else if (tab === "health") leave = healthPage(place);
    else if (id) leave = await openStream(live, id, place);
    else leave = streams(live, place);
  };
  const alert = h("p", { class: "alert bad stale", hidden: true, attrs: { role: "alert" } });
  tabs.after(alert);
  live.subscribe(() => {
    const { trouble, asked } = live;
    alert.hidden = !trouble;
    if (trouble) say(alert, fill(t.operate.stale, { why: trouble, time: timeOfDay(asked) }));
  });
  addEventListener("hashchange", () => void show());
  await show();
}

async function openStream(live: Live, id: string, place: HTMLElement): Promise<() => void> {
  try {
    const stream = live.get(id) ?? (await call<Stream>("GET", `/streams/${id}`));
    const page = new StreamPage(live, stream, place);
    return () => page.stop();
  } catch {
    put(place, h("p", { class: "alert", attrs: { role: "alert" } }, t.operate.gone));
    return () => undefined;
  }
}

const app = document.querySelector("#app");
if (app) void start(app);
serviceWorker();
