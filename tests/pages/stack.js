// A LiveKit server and a Scrim of one's own, and a Chromium with a made-up camera.
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { createSocket } from "node:dgram";
import {
  cpSync,
  createWriteStream,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

export const HERE = dirname(fileURLToPath(import.meta.url));
export const ROOT = resolve(HERE, "../..");
const KEY = "devkey";
/** LiveKit's secret in development mode; outside it Scrim refuses one that everyone knows. */
const SECRETS = {
  dev: "devsecret-devsecret-devsecret-32ch",
  own: "a-livekit-secret-of-the-tests-own-01",
};
export const JWT_SECRET = "a-secret-of-the-tests-own-0123456789";

/** Asks until the answer is true, and returns it. */
export async function until(what, seconds, ask, every = 50) {
  const end = Date.now() + seconds * 1_000;
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    if (Date.now() > end) throw new Error(`${what}: not within ${seconds} s`);
    await sleep(every);
  }
}

/** A port that nobody has at this moment, for TCP and UDP. */
async function freePort() {
  const tcp = createServer();
  await new Promise((done) => tcp.listen(0, "127.0.0.1", done));
  const { port } = tcp.address();
  const udp = createSocket("udp4");
  const free = await new Promise((done) => {
    udp.once("error", () => done(false));
    udp.bind(port, "127.0.0.1", () => done(true));
  });
  await new Promise((done) => tcp.close(done));
  if (free) await new Promise((done) => udp.close(done));
  return free ? port : freePort();
}

const answers = (url) =>
  fetch(url, { signal: AbortSignal.timeout(2_000) }).then(
    (one) => one.ok,
    () => false,
  );

export class Stack {
  constructor() {
    this.directory = mkdtempSync(join(tmpdir(), "scrim-pages-"));
    this.processes = new Map();
    this.binary =
      process.env.SCRIM_BINARY ??
      join(process.env.CARGO_TARGET_DIR ?? join(ROOT, "target"), "release/scrim");
    // Nothing outlives the tests.
    process.once("exit", () => this.kill());
  }

  async start({ codecs = ["vp8", "h264"], access = {} } = {}) {
    this.ports = { HTTP_PORT: 0, LIVEKIT_PORT: 0, LIVEKIT_TCP_PORT: 0, LIVEKIT_UDP_PORT: 0 };
    for (const name of Object.keys(this.ports)) this.ports[name] = await freePort();
    this.http = `http://127.0.0.1:${this.ports.HTTP_PORT}`;
    let text = readFileSync(join(ROOT, "config/livekit.yaml"), "utf8");
    this.access = access;
    this.secret = access.JWT_SECRET ? SECRETS.own : SECRETS.dev;
    const values = { ...this.ports, DEV_KEY: KEY, DEV_SECRET: this.secret };
    for (const [name, value] of Object.entries(values))
      text = text.replaceAll(`\${${name}}`, value);
    const mimes = codecs.map((one) => `    - mime: video/${one}\n`).join("");
    text = text.replace(/( {4}- mime: video\/\w+\n)+/, mimes);
    writeFileSync(join(this.directory, "livekit.yaml"), text);
    await this.startLivekit();
    await this.startScrim();
  }

  async startLivekit() {
    this.launch("livekit", join(ROOT, ".scrim/tools/livekit-server"), [
      "--config",
      join(this.directory, "livekit.yaml"),
    ]);
    await until("LiveKit answers", 30, () =>
      answers(`http://127.0.0.1:${this.ports.LIVEKIT_PORT}`),
    );
  }

  async startScrim() {
    const env = {
      SCRIM__HTTP__LISTEN: `127.0.0.1:${this.ports.HTTP_PORT}`,
      SCRIM__LIMITS__MAX_CPU: "0",
      LIVEKIT_URL: `ws://127.0.0.1:${this.ports.LIVEKIT_PORT}`,
      // A history of its own: what another test's server left open is not continued here.
      DATABASE_URL: `sqlite:${join(this.directory, "scrim.db")}`,
      ...this.access,
    };
    const args = ["serve", "--config", "config/scrim.toml"];
    if (!this.access.JWT_SECRET) args.push("--dev");
    else Object.assign(env, { LIVEKIT_API_KEY: KEY, LIVEKIT_API_SECRET: this.secret });
    this.launch("scrim", this.binary, args, env);
    await until("Scrim is ready", 90, () => answers(`${this.http}/health/ready`));
  }

  launch(name, command, args, env = {}) {
    const child = spawn(command, args, {
      cwd: ROOT,
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const log = createWriteStream(join(this.directory, `${name}.log`), { flags: "a" });
    child.stdout.pipe(log, { end: false });
    child.stderr.pipe(log, { end: false });
    this.processes.set(name, child);
  }

  /** Sends a signal; waits for the end when it is one that ends. */
  async signal(name, how) {
    const child = this.processes.get(name);
    const ended = new Promise((done) => child.once("exit", done));
    child.kill(how);
    if (how === "SIGTERM" || how === "SIGKILL") await ended;
  }

  async call(method, path, body) {
    const init = { method, headers: { "content-type": "application/json" } };
    if (body !== undefined) init.body = JSON.stringify(body);
    const response = await fetch(this.http + path, init);
    const text = await response.text();
    return { status: response.status, body: text ? JSON.parse(text) : null };
  }

  /** Faces are covered in this room; `more` rules hold besides. */
  async coverFaces(room, more = {}) {
    const rule = { threshold: 0.25, action: "blur" };
    const answer = await this.call("PUT", `/censorship/rules/${room}`, {
      classes: { FACE_FEMALE: rule, FACE_MALE: rule },
      ...more,
    });
    if (answer.status !== 200) throw new Error(`rules of ${room}: ${answer.status}`);
  }

  /** The stream of a room, live or over. */
  async stream(room) {
    return (await this.call("GET", `/streams?room=${room}&limit=1`)).body.streams[0];
  }

  kill() {
    for (const child of this.processes.values()) child.kill("SIGKILL");
  }

  /** Ends everything; keeps the logs where `keep` says. */
  async close(keep) {
    this.kill();
    if (keep) {
      mkdirSync(keep, { recursive: true });
      for (const name of ["livekit.log", "scrim.log"]) {
        if (existsSync(join(this.directory, name)))
          cpSync(join(this.directory, name), join(keep, name));
      }
    }
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** Makes the clip once and returns where it is. */
export function clip() {
  const sources = [join(HERE, "clip.py"), join(ROOT, "tests/e2e/scene.py")];
  const key = createHash("sha256");
  for (const source of sources) key.update(readFileSync(source));
  const directory = join(ROOT, `.scrim/clips/${key.digest("hex").slice(0, 16)}`);
  if (!existsSync(join(directory, "faces.json"))) {
    mkdirSync(directory, { recursive: true });
    const python = process.env.SCRIM_TEST_PYTHON ?? join(ROOT, ".venv/bin/python");
    const made = spawnSync(python, [join(HERE, "clip.py"), directory], { stdio: "inherit" });
    if (made.status !== 0) throw new Error("the clip was not made");
  }
  return directory;
}

/** Without a card, an account or a background service; no sandbox, since it may run as root. */
const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-dev-shm-usage",
  "--disable-quic",
  "--disable-background-networking",
  "--disable-background-timer-throttling",
  "--disable-backgrounding-occluded-windows",
  "--disable-renderer-backgrounding",
  "--disable-component-update",
  `--disable-features=WebRtcHideLocalIpsWithMdns${process.env.SCRIM_PAGES ? ",LocalNetworkAccessChecks" : ""}`,
  "--disable-sync",
  "--mute-audio",
  "--no-first-run",
  "--use-fake-device-for-media-stream",
  "--auto-accept-camera-and-microphone-capture",
];

export async function browse({ camera = true, flags = [] } = {}) {
  const known = ["/usr/bin/chromium", "/usr/bin/google-chrome"];
  const executablePath = process.env.CHROMIUM ?? known.find(existsSync);
  const film = camera
    ? [
        `--use-file-for-fake-video-capture=${join(clip(), "face.y4m")}`,
        `--use-file-for-fake-audio-capture=${join(clip(), "beeps.wav")}`,
      ]
    : [];
  return chromium.launch({ executablePath, headless: true, args: [...FLAGS, ...film, ...flags] });
}

/** A page of its own, whose console must stay free of errors; `allowed` names those that belong to
 *  what a test does to it. */
export async function open(
  browser,
  { width = 1280, height = 800, scheme = "light", allowed = [], ...more } = {},
) {
  const context = await browser.newContext({
    permissions: ["camera", "microphone", "clipboard-write"],
    viewport: { width, height },
    colorScheme: scheme,
    reducedMotion: "reduce",
    // What it fetches, the driver cannot replace.
    serviceWorkers: process.env.SCRIM_PAGES ? "block" : "allow",
    ...more,
  });
  const page = await context.newPage();
  page.errors = [];
  // From disk, the binary's own addresses of the pages are not there.
  page.allowed = process.env.SCRIM_PAGES ? [...allowed, /404/] : allowed;
  const note = (text) => {
    if (!page.allowed.some((one) => one.test(text))) page.errors.push(text);
  };
  page.on("pageerror", (error) => note(String(error)));
  page.on("console", (message) => {
    if (message.type() === "error") note(message.text());
  });
  if (process.env.SCRIM_PAGES) await fromDisk(page, process.env.SCRIM_PAGES);
  return page;
}

/** While pages are worked on: their files from `web/dist`, without building Scrim again. */
async function fromDisk(page, dist) {
  const kinds = {
    html: "text/html",
    js: "text/javascript",
    css: "text/css",
    svg: "image/svg+xml",
    png: "image/png",
    webmanifest: "application/manifest+json",
  };
  await page.route(
    /\/(|broadcast|operate|offline|sw\.js|manifest\.webmanifest|icon[^/]*|watch\/[^/]*|assets\/.*)([?#].*)?$/,
    async (route) => {
      const { pathname } = new URL(route.request().url());
      const name =
        pathname === "/"
          ? "index.html"
          : /^\/(watch|broadcast|operate|offline)/.test(pathname)
            ? `${pathname.split("/")[1]}.html`
            : pathname.slice(1);
      const answer = await route.fetch().catch(() => null);
      const body = readFileSync(join(dist, name));
      const headers = { ...answer?.headers(), "content-type": kinds[name.split(".").at(-1)] };
      delete headers["content-encoding"];
      delete headers["content-length"];
      await route.fulfill({ status: 200, headers, body });
    },
  );
}

/** The words of the page's state. */
export const stateOf = (page) => page.locator(".top .pill").getAttribute("data-state");

export const shows = (page, state, seconds) =>
  until(`the page shows ${state}`, seconds, async () => (await stateOf(page)) === state).catch(
    async (error) => {
      throw new Error(`${error.message}; it shows ${await stateOf(page)}`);
    },
  );
