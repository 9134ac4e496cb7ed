// What every page must pass in every state: axe, no line too wide, a silent console; and its picture.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { ROOT } from "./stack.js";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const SHOTS = process.env.SCRIM_SHOTS_DIR ?? join(ROOT, "docs/screenshots");
const SIZES = { phone: [390, 844], tablet: [820, 1180], desktop: [1440, 900] };

/** axe's findings that keep people out, and a picture in each size and colour scheme, of a part of a
 *  long page where one is named. */
export async function check(name, one, part = null) {
  for (const scheme of ["light", "dark"]) {
    await one.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
    for (const [size, [width, height]] of Object.entries(SIZES)) {
      await one.setViewportSize({ width, height });
      await one.evaluate(
        () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))),
      );
      const wide = await one.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(wide <= 0, `${name} at ${width} px is ${wide} px too wide`);
      if (part) await one.locator(part).evaluate((element) => element.scrollIntoView());
      if (process.env.SCRIM_SCREENSHOTS) await shoot(one, `${name}-${size}-${scheme}`);
    }
    await one.evaluate(AXE);
    const { violations } = await one.evaluate(() =>
      axe.run(document, { resultTypes: ["violations"] }),
    );
    const serious = violations.filter((found) => ["serious", "critical"].includes(found.impact));
    const told = serious.map(
      (found) => `${found.id}: ${found.nodes.map((node) => node.target.join(" ")).join(", ")}`,
    );
    assert.deepEqual(told, [], `${name}, ${scheme}`);
  }
  assert.deepEqual(one.errors, [], name);
}

async function shoot(one, name) {
  mkdirSync(SHOTS, { recursive: true });
  const png = await one.screenshot({ scale: "css" });
  const args = [
    "-v",
    "error",
    "-y",
    "-f",
    "png_pipe",
    "-i",
    "-",
    "-c:v",
    "libwebp",
    "-quality",
    "55",
    join(SHOTS, `${name}.webp`),
  ];
  assert.equal(spawnSync("ffmpeg", args, { input: png }).status, 0, "ffmpeg writes WebP");
}
