import { resolve } from "node:path";
import { defineConfig, type HtmlTagDescriptor, type Plugin } from "vite";

/** Where the development server finds Scrim. */
const SCRIM = process.env.SCRIM_URL ?? "http://127.0.0.1:8080";

const PAGES = ["index", "broadcast", "watch", "operate", "offline"];

/** What Scrim itself answers; everything else is a page. */
const API =
  /^\/(streams?|token|events|censorship|feedback|analytics|room|health|metrics|process|streaming)(\/|\?|$)/;

/** The server's addresses of the pages, for the development server. */
function addresses(): Plugin {
  return {
    name: "addresses",
    configureServer(server) {
      server.middlewares.use((request, _response, next) => {
        const page = /^\/(watch|broadcast|operate|offline)(\/|\?|#|$)/.exec(request.url ?? "");
        if (page) request.url = `/${page[1]}.html`;
        next();
      });
    },
  };
}

/** What every page has in its head, and where its script builds it up. */
const COMMON: HtmlTagDescriptor[] = [
  { tag: "meta", attrs: { charset: "utf-8" } },
  {
    tag: "meta",
    attrs: {
      name: "viewport",
      content: "width=device-width, initial-scale=1, viewport-fit=cover",
    },
  },
  { tag: "meta", attrs: { name: "color-scheme", content: "light dark" } },
  ...Object.entries({ light: "#ffffff", dark: "#171e21" }).map(([scheme, content]) => ({
    tag: "meta",
    attrs: { name: "theme-color", content, media: `(prefers-color-scheme: ${scheme})` },
  })),
  { tag: "link", attrs: { rel: "icon", href: "/icon.svg", type: "image/svg+xml" } },
  { tag: "link", attrs: { rel: "manifest", href: "/manifest.webmanifest" } },
  {
    tag: "div",
    attrs: { id: "app" },
    children: "<noscript>This page needs JavaScript.</noscript>",
    injectTo: "body-prepend",
  },
];

/** Gives each page what all have. */
function common(): Plugin {
  return { name: "common", transformIndexHtml: { order: "pre", handler: () => COMMON } };
}

/** Lets pages that always need LiveKit's client fetch it beside their own script. */
function preload(): Plugin {
  return {
    name: "preload",
    transformIndexHtml: {
      order: "post",
      handler(_html, { path, bundle }) {
        const client = Object.keys(bundle ?? {}).find((name) =>
          /^assets\/livekit-.*\.js$/.test(name),
        );
        if (!client || !/watch|broadcast/.test(path)) return;
        const attrs = { rel: "modulepreload", href: `/${client}`, crossorigin: "" };
        return [{ tag: "link", attrs, injectTo: "head" }];
      },
    },
  };
}

export default defineConfig({
  plugins: [addresses(), common(), preload()],
  build: {
    target: "es2022",
    // The policy of the pages allows no inline code or data.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // LiveKit's client, which is one piece.
    chunkSizeWarningLimit: 700,
    rollupOptions: {
      input: {
        ...Object.fromEntries(PAGES.map((page) => [page, resolve(`${page}.html`)])),
        sw: resolve("src/sw.ts"),
      },
      output: {
        // A service worker rules over what lies below it, and browsers look for it by this name.
        entryFileNames: (chunk) => (chunk.name === "sw" ? "sw.js" : "assets/[name]-[hash].js"),
        manualChunks: (id) => (id.includes("node_modules") ? "livekit" : undefined),
      },
    },
  },
  server: { proxy: { [API.source]: { target: SCRIM } } },
});
