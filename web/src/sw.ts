/// <reference lib="webworker" />
/**
 * The service worker: pages come from the network, and without one from the last visit or the
 * offline page; scripts and styles have their content in their name and are kept. Calls of the API
 * and pictures never pass through here.
 */
export {};

declare const self: ServiceWorkerGlobalScope;

const CACHE = "scrim-1";
const OFFLINE = "/offline";

/** Files under hashed names that are kept; past it the oldest go. */
const KEPT = 60;

self.addEventListener("install", (event) => {
  event.waitUntil(
    caches
      .open(CACHE)
      .then(keepOffline)
      .then(() => self.skipWaiting()),
  );
});

/** The offline page with the scripts and styles it names. */
async function keepOffline(cache: Cache): Promise<void> {
  const page = await fetch(OFFLINE);
  const text = await page.clone().text();
  await cache.put(OFFLINE, page);
  const named = [...text.matchAll(/(?:src|href)="(\/(?:assets\/|icon)[^"]+)"/g)];
  await cache.addAll([...new Set(named.map((match) => match[1] ?? ""))]);
}

self.addEventListener("activate", (event) => {
  event.waitUntil(
    caches
      .keys()
      .then((names) =>
        Promise.all(names.filter((name) => name !== CACHE).map((name) => caches.delete(name))),
      )
      .then(() => self.clients.claim()),
  );
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const { origin, pathname } = new URL(request.url);
  if (request.method !== "GET" || origin !== location.origin) return;
  if (request.mode === "navigate") event.respondWith(page(request));
  else if (pathname.startsWith("/assets/")) event.respondWith(asset(request));
});

async function page(request: Request): Promise<Response> {
  try {
    return await fetch(request);
  } catch {
    return (await caches.match(OFFLINE)) ?? Response.error();
  }
}

async function asset(request: Request): Promise<Response> {
  const cache = await caches.open(CACHE);
  const kept = await cache.match(request, { ignoreVary: true });
  if (kept) return kept;
  const fresh = await fetch(request);
  if (fresh.ok) {
    await cache.put(request, fresh.clone());
    const names = (await cache.keys()).filter((one) => one.url.includes("/assets/"));
    await Promise.all(names.slice(0, -KEPT).map((old) => cache.delete(old)));
  }
  return fresh;
}
