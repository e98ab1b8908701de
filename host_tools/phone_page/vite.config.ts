/// <reference types="vitest/config" />
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { defineConfig, type Plugin } from "vite";
import { onlyOurChips } from "./only_our_chips.ts";

/** What the page may do: nothing but itself. `speakeasy page` sends the same as a header. */
export const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "manifest-src 'self'",
  "worker-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
].join("; ");

const PUBLIC = join(import.meta.dirname, "public");
const WORKER = "worker.js";

/** Tells the service worker the names of all files of this build, and one hash over them (src/worker.ts). */
function precache(): Plugin {
  let isPage = false;
  return {
    name: "precache",
    enforce: "post",
    config({ root }) {
      // Tests build pages of their own by this file: those have no worker.
      isPage = resolve(root ?? ".") === import.meta.dirname;
      if (!isPage) return null;
      const entryFileNames = (chunk: { name: string }) =>
        chunk.name === "worker" ? WORKER : "assets/[name]-[hash].js";
      return { build: { rolldownOptions: { input: ["index.html", "src/worker.ts"], output: { entryFileNames } } } };
    },
    generateBundle(_, bundle) {
      if (!isPage) return;
      const files = new Map<string, string | Uint8Array>();
      for (const name of readdirSync(PUBLIC)) files.set(name, readFileSync(join(PUBLIC, name)));
      for (const [name, file] of Object.entries(bundle))
        // The page goes by its folder's name: some servers send whoever asks for index.html there.
        if (name !== WORKER)
          files.set(name === "index.html" ? "./" : name, file.type === "chunk" ? file.code : file.source);
      const hash = createHash("sha256");
      const names = [...files.keys()].sort();
      for (const name of names) hash.update(`${name}\0`).update(createHash("sha256").update(files.get(name)!).digest());
      const worker = bundle[WORKER];
      if (worker?.type !== "chunk" || !files.has("./")) this.error("the build has no service worker, or no page");
      hash.update(worker.code);
      worker.code = worker.code
        .replace("SPEAKEASY_FILES", JSON.stringify(names))
        .replace("SPEAKEASY_BUILD", JSON.stringify(hash.digest("hex").slice(0, 16)));
    },
  };
}

export default defineConfig({
  // Relative: the page may live in any folder of any host.
  base: "./",
  build: {
    outDir: "../../build/page",
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  plugins: [
    onlyOurChips(),
    {
      name: "content-security-policy",
      transformIndexHtml: {
        order: "post",
        handler: (html, context) =>
          // Vite's own development server needs more than the page may.
          context.server
            ? html
            : html.replace(
                "<head>",
                `<head>\n    <meta http-equiv="Content-Security-Policy" content="${CONTENT_SECURITY_POLICY}">`,
              ),
      },
    },
    precache(),
  ],
  // A machine that does much else takes its time.
  test: { environment: "node", include: ["src/**/*.test.{ts,tsx}"], testTimeout: 60_000, hookTimeout: 60_000 },
});
