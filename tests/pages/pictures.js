// What a video element shows, compared with the clip that the camera played.
import { openSync, readFileSync, readSync } from "node:fs";
import { join } from "node:path";

export const [WIDTH, HEIGHT] = [640, 360];
const FRAME = (WIDTH * HEIGHT * 3) / 2;
const CYCLE = 150;
const HEADER = 6;

/** The clip's own pictures and faces. */
export class Film {
  constructor(directory) {
    this.file = openSync(join(directory, "face.y4m"));
    const head = Buffer.alloc(200);
    readSync(this.file, head, 0, 200, 0);
    this.start = head.indexOf("\n") + 1;
    this.faces = JSON.parse(readFileSync(join(directory, "faces.json"), "utf8"));
  }

  /** The luma of a frame. */
  luma(index) {
    const plane = Buffer.alloc(WIDTH * HEIGHT);
    readSync(
      this.file,
      plane,
      0,
      plane.length,
      this.start + (index % CYCLE) * (FRAME + HEADER) + HEADER,
    );
    return plane;
  }

  face(index) {
    return this.faces[index % CYCLE];
  }
}

/** The band of detail that faces are recognised by (tests/e2e/judge.py has the same). */
function detail(values, width, height, size) {
  const sigma = Math.max(0.8, 0.022 * size);
  const fine = blur(values, width, height, sigma);
  const coarse = blur(values, width, height, 2.2 * sigma);
  return fine.map((value, at) => value - coarse[at]);
}

function blur(values, width, height, sigma) {
  const reach = Math.ceil(3 * sigma);
  const kernel = Array.from({ length: 2 * reach + 1 }, (_, at) =>
    Math.exp(-((at - reach) ** 2) / (2 * sigma * sigma)),
  );
  const sum = kernel.reduce((a, b) => a + b);
  const mirror = (at, most) => (at < 0 ? -at : at >= most ? 2 * most - 2 - at : at);
  const pass = (from, across) => {
    const to = new Float32Array(from.length);
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        let total = 0;
        for (let k = -reach; k <= reach; k++) {
          const at = across ? y * width + mirror(x + k, width) : mirror(y + k, height) * width + x;
          total += (from[at] ?? 0) * kernel[k + reach];
        }
        to[y * width + x] = total / sum;
      }
    }
    return to;
  };
  return pass(pass(values, true), false);
}

/** Share of the cells of a box whose own detail is still there. */
export function kept(original, received, box, grid = 4) {
  const [x, y, w, h] = box.map(Math.round);
  const cut = (luma) => {
    const out = new Float32Array(w * h);
    for (let row = 0; row < h; row++) {
      for (let column = 0; column < w; column++)
        out[row * w + column] = luma[(y + row) * WIDTH + x + column] ?? 0;
    }
    return detail(out, w, h, Math.min(w, h));
  };
  const [was, now] = [cut(original), cut(received)];
  const power = new Float32Array(grid * grid);
  const common = new Float32Array(grid * grid);
  for (let row = 0; row < h; row++) {
    for (let column = 0; column < w; column++) {
      const cell =
        Math.min(grid - 1, Math.floor((row * grid) / h)) * grid +
        Math.min(grid - 1, Math.floor((column * grid) / w));
      const at = row * w + column;
      power[cell] += was[at] * was[at];
      common[cell] += was[at] * now[at];
    }
  }
  const mean = power.reduce((a, b) => a + b) / power.length;
  const counted = [...power.keys()].filter((cell) => power[cell] > 0.1 * mean);
  return counted.filter((cell) => common[cell] / power[cell] > 0.5).length / counted.length;
}

/** A box of the background far from the face. */
export function away(face) {
  const [w, h] = [120, 100];
  const centre = face[0] + face[2] / 2;
  return [centre > WIDTH / 2 ? 20 : WIDTH - w - 20, HEIGHT - h - 20, w, h];
}

/**
 * Reads pictures off a video in a page for so many milliseconds: each with the time it was shown, the
 * frame's number (null where it cannot be read) and, for every `every`th, its luma.
 */
export async function look(page, selector, milliseconds, every = 4) {
  const seen = await page.evaluate(grab, { selector, milliseconds, every, WIDTH, HEIGHT });
  return seen.map((one) => ({ ...one, luma: one.luma && Buffer.from(one.luma, "base64") }));
}

/** Runs in the page. */
async function grab({ selector, milliseconds, every, WIDTH, HEIGHT }) {
  const video = document.querySelector(selector);
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [WIDTH, HEIGHT];
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const table = Array.from({ length: 256 }, (_, n) => {
    let value = n;
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
    return value >>> 0;
  });
  const crc = (index) => {
    let value = 0xffffffff;
    for (const shift of [24, 16, 8, 0])
      value = table[(value ^ (index >>> shift)) & 0xff] ^ (value >>> 8);
    return (value ^ 0xffffffff) >>> 0;
  };
  const number = (luma) => {
    let word = 0;
    for (let block = 0; block < 32; block++) {
      let total = 0;
      const centre = Math.floor(((block + 0.5) * WIDTH) / 32);
      for (let y = 4; y < 12; y++)
        for (const by of [-2, 0, 2]) total += luma[y * WIDTH + centre + by];
      word = word * 2 + (total / 24 > 125 ? 1 : 0);
    }
    const index = Math.floor(word / 1024) % 0x100000;
    return word === 2 ** 31 + index * 1024 + (crc(index) % 1024) ? index : null;
  };
  const seen = [];
  const end = performance.now() + milliseconds;
  return new Promise((resolve) => {
    const take = (now) => {
      context.drawImage(video, 0, 0, WIDTH, HEIGHT);
      const { data } = context.getImageData(0, 0, WIDTH, HEIGHT);
      const luma = new Uint8Array(WIDTH * HEIGHT);
      for (let at = 0; at < luma.length; at++)
        luma[at] = (data[4 * at] * 77 + data[4 * at + 1] * 150 + data[4 * at + 2] * 29) >> 8;
      const one = { at: performance.timeOrigin + now, index: number(luma) };
      if (seen.length % every === 0) {
        let text = "";
        for (let at = 0; at < luma.length; at += 8192)
          text += String.fromCharCode(...luma.subarray(at, at + 8192));
        one.luma = btoa(text);
      }
      seen.push(one);
      if (performance.now() < end) video.requestVideoFrameCallback(take);
      else resolve(seen);
    };
    video.requestVideoFrameCallback(take);
    setTimeout(() => resolve(seen), milliseconds + 5_000);
  });
}

/** Standard deviation of a picture's luma. */
export function deviation(luma) {
  const mean = luma.reduce((a, b) => a + b, 0) / luma.length;
  return Math.sqrt(luma.reduce((sum, value) => sum + (value - mean) ** 2, 0) / luma.length);
}

export function percentile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? null;
}
