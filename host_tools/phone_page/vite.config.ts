/// <reference types="vitest/config" />
import { defineConfig } from "vite";
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
  ],
  test: { environment: "node", include: ["src/**/*.test.{ts,tsx}"] },
});
