/// <reference types="vitest/config" />
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative, resolve } from "node:path";
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

const WORKER = "worker.js";

/** Tells the service worker the names and hashes of all files of this build, and one hash over them (src/worker.ts). */
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
    // As they were written: Vite changes some of them to the last.
    writeBundle({ dir }) {
      if (!isPage) return;
      const folder = dir!;
      const names = readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => relative(folder, join(entry.parentPath, entry.name)).replaceAll("\\", "/"))
        .filter((name) => name !== WORKER)
        .sort();
      const sha256 = (data: string | Uint8Array) => `sha256-${createHash("sha256").update(data).digest("base64")}`;
      // The page goes by its folder's name: some servers send whoever asks for index.html there.
      const list = JSON.stringify(
        names.map((name) => [name === "index.html" ? "./" : name, sha256(readFileSync(join(folder, name)))]),
      );
      const worker = readFileSync(join(folder, WORKER), "utf8");
      const build = JSON.stringify(sha256(list + worker));
      writeFileSync(
        join(folder, WORKER),
        worker.replace("SPEAKEASY_FILES", () => list).replace("SPEAKEASY_BUILD", () => build),
      );
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
