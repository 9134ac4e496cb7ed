import { h, put, say } from "../lib/dom";
import { icon } from "../lib/icons";
import { personProblem, roomProblem } from "../lib/names";
import { fill, t } from "../texts";
import * as devices from "./devices";
import type { Codec, VideoSource } from "./publisher";

const CHOICE = "scrim.broadcast";

interface Remembered {
  room: string;
  name: string;
  choice: devices.Choice;
  codec: Codec;
}

/** What this browser chose last time, or nothing. */
function recall(): Partial<Remembered> {
  try {
    return JSON.parse(localStorage.getItem(CHOICE) ?? "{}") as Partial<Remembered>;
  } catch {
    return {};
  }
}

/** The camera's side: names, devices, the picture itself, and what stands in its way. */
export class Setup {
  readonly element: HTMLElement;
  readonly view = h("video", {
    attrs: { playsinline: "", autoplay: "", "aria-label": t.broadcast.mine },
  });
  stream: MediaStream | null = null;
  from: VideoSource = "camera";
  /** Told when other tracks are open than before. */
  onTracks: () => void = () => undefined;

  private readonly room = this.text("room", "room-help");
  private readonly name = this.text("name", "name-help");
  private readonly roomHelp = h("p", { class: "help", id: "room-help" }, t.common.roomRule);
  private readonly nameHelp = h("p", { class: "help", id: "name-help" }, t.common.nameRule);
  private readonly camera = this.select("camera");
  private readonly microphone = this.select("microphone");
  private readonly size = this.select("resolution");
  private readonly codec = this.select("codec");
  private readonly screen: HTMLButtonElement;
  private readonly curtain = h("div", { class: "curtain" });
  private readonly names: HTMLElement;
  private readonly more: HTMLElement;

  constructor() {
    const known = recall();
    this.room.value = known.room ?? "";
    this.name.value = known.name ?? "broadcaster";
    this.view.muted = true;
    const sizes = Object.keys(devices.SIZES).reverse();
    put(this.size, ...sizes.map((one) => h("option", { value: one }, `${one}p`)));
    this.size.value = known.choice?.size ?? "720";
    const codecs = Object.entries(t.broadcast.codecs);
    put(this.codec, ...codecs.map(([value, label]) => h("option", { value }, label)));
    this.codec.value = known.codec ?? "auto";
    const screen = {
      class: "button",
      attrs: { type: "button" },
      on: { click: () => this.shareScreen() },
    };
    this.screen = h("button", screen, icon("screen"), t.broadcast.screen);
    this.screen.hidden = !devices.canShareScreens();
    const { field } = this;
    this.names = h(
      "div",
      { class: "pair" },
      field("room", t.broadcast.room, this.room, this.roomHelp),
      field("name", t.broadcast.name, this.name, this.nameHelp),
    );
    this.more = h(
      "details",
      { class: "more" },
      h("summary", {}, t.broadcast.more),
      h(
        "div",
        { class: "pair" },
        field("resolution", t.broadcast.resolution, this.size),
        field("codec", t.broadcast.codec, this.codec),
      ),
    );
    this.element = h(
      "section",
      { class: "mine", attrs: { "aria-labelledby": "mine-title" } },
      h("h2", { id: "mine-title" }, t.broadcast.mine),
      h("div", { class: "stage" }, this.view, this.curtain),
      this.names,
      h(
        "div",
        { class: "pair" },
        field("camera", t.broadcast.camera, this.camera),
        field("microphone", t.broadcast.microphone, this.microphone),
      ),
      h("div", { class: "row" }, this.screen),
      this.more,
    );
  }

  /** The names and the codec, when they may be used; else the field that is wrong has the focus. */
  read(): { room: string; name: string; codec: Codec } | null {
    const [room, name] = [this.room.value.trim(), this.name.value.trim()];
    const checks: [HTMLInputElement, HTMLElement, string | null, string][] = [
      [this.name, this.nameHelp, personProblem(name), t.common.nameRule],
      [this.room, this.roomHelp, roomProblem(room), t.common.roomRule],
    ];
    let fit = true;
    for (const [input, help, problem, rule] of checks) {
      say(help, problem ?? rule);
      help.classList.toggle("bad", problem !== null);
      input.setAttribute("aria-invalid", String(problem !== null));
      if (problem) input.focus();
      fit &&= problem === null;
    }
    if (!fit) return null;
    const codec = this.codec.value as Codec;
    const all: Remembered = { room, name, choice: this.choice(), codec };
    localStorage.setItem(CHOICE, JSON.stringify(all));
    return { room, name, codec };
  }

  /** The room as it is written now. */
  suggest(room: string): void {
    this.room.value = room;
  }

  /** Names and codec hold while on air; devices may change. */
  lock(on: boolean): void {
    this.names.hidden = on;
    this.more.hidden = on;
  }

  /** Opens what is chosen; the page asks for permission, or says what stands in the way. */
  async open(): Promise<void> {
    this.explain("ask");
    try {
      this.use(await devices.open(this.choice()), "camera");
      await this.listDevices();
    } catch (error) {
      this.explain(devices.trouble(error), error);
    }
  }

  private choice(): devices.Choice {
    const known = recall().choice;
    const filled = this.camera.options.length > 0;
    return {
      camera: filled ? this.camera.value : (known?.camera ?? null),
      microphone: filled ? this.microphone.value : (known?.microphone ?? null),
      size: this.size.value as devices.Size,
    };
  }

  private async shareScreen(): Promise<void> {
    if (this.from === "screen") {
      await this.open();
      return;
    }
    try {
      const screen = await devices.openScreen();
      const [picture] = screen.getVideoTracks();
      const voice = this.stream?.getAudioTracks()[0] ?? screen.getAudioTracks()[0];
      if (!picture) return;
      picture.addEventListener("ended", () => void this.open());
      this.use(new MediaStream(voice ? [picture, voice] : [picture]), "screen");
    } catch {
      // Not wanted after all.
    }
  }

  private use(stream: MediaStream, from: VideoSource): void {
    const before = this.stream;
    [this.stream, this.from] = [stream, from];
    this.view.srcObject = stream;
    this.curtain.hidden = stream.getVideoTracks().length > 0;
    put(this.screen, icon(from === "screen" ? "camera" : "screen"));
    this.screen.append(from === "screen" ? t.broadcast.backToCamera : t.broadcast.screen);
    this.onTracks();
    for (const old of before?.getTracks() ?? []) {
      if (!stream.getTracks().includes(old)) old.stop();
    }
  }

  private async listDevices(): Promise<void> {
    const found = await devices.list();
    const current = (kind: "audio" | "video") =>
      this.stream
        ?.getTracks()
        .find((one) => one.kind === kind)
        ?.getSettings().deviceId ?? "";
    const offer = (select: HTMLSelectElement, all: MediaDeviceInfo[], now: string) => {
      const options = all.map((one, at) =>
        h("option", { value: one.deviceId }, one.label || `${select.id} ${at + 1}`),
      );
      // Some browsers list nothing unless the permission is kept.
      if (now && !all.some((one) => one.deviceId === now)) {
        const kind = select === this.camera ? "video" : "audio";
        const track = this.stream?.getTracks().find((one) => one.kind === kind);
        options.unshift(h("option", { value: now }, track?.label || `${select.id} 1`));
      }
      put(select, ...options, h("option", { value: "" }, t.broadcast.none));
      select.value = now;
    };
    offer(this.camera, found.cameras, current("video"));
    offer(this.microphone, found.microphones, current("audio"));
  }

  private explain(what: devices.Trouble, error?: unknown): void {
    const [title, text] = t.broadcast.permission[what];
    const again = h(
      "button",
      { class: "button", attrs: { type: "button" }, on: { click: () => void this.open() } },
      t.common.retry,
    );
    const why = error instanceof Error ? error.message : "";
    this.curtain.hidden = false;
    put(
      this.curtain,
      h("strong", {}, title ?? ""),
      h("span", {}, fill(text ?? "", { why })),
      what !== "ask" && what !== "insecure" && again,
    );
  }

  private text(id: string, help: string): HTMLInputElement {
    const attrs = {
      autocomplete: "off",
      spellcheck: "false",
      maxlength: "50",
      "aria-describedby": help,
    };
    return h("input", { id, attrs });
  }

  private select(id: string): HTMLSelectElement {
    return h("select", { id, on: { change: () => void this.open() } });
  }

  private readonly field = (id: string, label: string, input: Node, help?: Node): HTMLElement =>
    h("div", { class: "field" }, h("label", { attrs: { for: id } }, label), input, help ?? null);
}
