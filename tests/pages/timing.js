// When things happen in a page, read from the outside: how a viewer's first picture comes about, and
// how sound and picture lie to each other.

/** Runs in a page before its own scripts: notes the time of each step towards the first picture. */
export function steps() {
  const steps = {};
  window.steps = steps;
  const note = (name) => {
    steps[name] ??= performance.now();
  };
  const { fetch } = window;
  window.fetch = async (...all) => {
    const path = String(all[0]?.url ?? all[0]);
    const answer = await fetch(...all);
    if (path.endsWith("/token")) note("token");
    return answer;
  };
  window.WebSocket = class extends WebSocket {
    constructor(...all) {
      super(...all);
      note("dialled");
      this.addEventListener("open", () => note("open"), { once: true });
      this.addEventListener("message", () => note("joined"), { once: true });
    }
  };
  window.RTCPeerConnection = class extends RTCPeerConnection {
    constructor(...all) {
      super(...all);
      window.peers = [...(window.peers ?? []), this];
      this.addEventListener("connectionstatechange", () => {
        if (this.connectionState === "connected") note("connected");
      });
      this.addEventListener("track", ({ track }) => note(`${track.kind} track`));
    }
  };
  const timer = setInterval(async () => {
    if (document.querySelector('.pill[data-state="live"]')) {
      note("picture");
      clearInterval(timer);
    }
  }, 5);
  const media = setInterval(async () => {
    for (const peer of window.peers ?? []) {
      for (const one of (await peer.getStats()).values()) {
        if (one.type !== "inbound-rtp" || one.kind !== "video") continue;
        if (one.packetsReceived > 0) note("first packet");
        if (one.framesReceived > 0) note("first frame whole");
        if (one.framesDecoded > 0) note("first frame decoded");
        steps.plis = one.pliCount;
      }
    }
    if (steps.picture) clearInterval(media);
  }, 10);
}

/**
 * Runs in a page: the times, in ms since 1970, of the beeps that a video element's sound has within so
 * many milliseconds. Each is found to the sample; when samples were heard is that of the fastest block.
 */
export async function hear({ selector, milliseconds }) {
  const tracks = document.querySelector(selector).srcObject.getAudioTracks();
  const context = new AudioContext();
  await context.resume();
  const source = context.createMediaStreamSource(new MediaStream(tracks));
  const tap = context.createScriptProcessor(256, 1, 1);
  source.connect(tap).connect(context.destination);
  const beeps = [];
  let [offset, quiet, loudest] = [Number.POSITIVE_INFINITY, 0, 0];
  tap.onaudioprocess = ({ inputBuffer, playbackTime }) => {
    offset = Math.min(offset, performance.now() - 1_000 * playbackTime);
    inputBuffer.getChannelData(0).forEach((sample, at) => {
      const level = Math.abs(sample);
      loudest = Math.max(loudest, level);
      const loud = level > 0.3 * loudest && level > 0.01;
      if (loud && quiet > 0.4 * context.sampleRate) {
        beeps.push(1_000 * (playbackTime + at / context.sampleRate));
      }
      quiet = loud ? 0 : quiet + 1;
    });
  };
  await new Promise((done) => setTimeout(done, milliseconds));
  tap.disconnect();
  await context.close();
  return beeps.map((one) => performance.timeOrigin + offset + one);
}

/** Pictures a second of the clip, and of its beeps. */
const FPS = 30;
const EVERY = 1_000;

/**
 * How late each beep is after its picture, in ms, up to whole seconds: a beep belongs to every 30th
 * picture. Where that one cannot be read, those around it tell when it would have been.
 */
export function lateness(beeps, pictures) {
  const read = pictures.filter((one) => one.index !== null);
  return beeps.flatMap((at) => {
    const near = read.filter((one) => Math.abs(one.at - at) < 700);
    const all = near.map((one) => at - one.at + ((one.index % FPS) / FPS) * EVERY);
    const [first] = all;
    return near.length < 5
      ? []
      : [{ at, late: first + median(all.map((one) => wrap(one - first))) }];
  });
}

/** By how much the sound lies behind the picture at the viewer, more than at the camera: each beep. */
export function skews(viewer, camera) {
  return viewer.flatMap(({ at, late }) => {
    const [nearest] = [...camera].sort((a, b) => Math.abs(a.at - at) - Math.abs(b.at - at));
    return nearest ? [wrap(late - nearest.late)] : [];
  });
}

/** A difference of times within a second's round, from -500 to 500. */
const wrap = (value) => ((((value + 500) % EVERY) + EVERY) % EVERY) - 500;

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}
