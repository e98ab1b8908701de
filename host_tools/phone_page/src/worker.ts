/**
 * The service worker: it keeps all files of one build, so that the page opens without a network. Vite's plugin (vite.config.ts) puts in
 * their names and hashes, and one hash over all of them.
 *
 * A page and its files are of one build: they come from the cache of the worker that has it, and a new build's worker takes over when
 * no page of the old one is open any more. (So no skipWaiting.)
 */
declare const self: ServiceWorkerGlobalScope;
/** Names, and the SHA-256 of each. */
declare const SPEAKEASY_FILES: readonly (readonly [string, string])[];
declare const SPEAKEASY_BUILD: string;
export {};

// Caches belong to the whole host: another folder of it may have this page, too.
const PREFIX = `speakeasy ${new URL("./", self.location.href).pathname} `;
const CACHE = PREFIX + SPEAKEASY_BUILD;

self.addEventListener("install", (event) => {
  // From the server itself: an older build's file in the browser's own cache would be a mix.
  // Whatever else it sends (a page for what it does not have yet, with status 200) ends the installation.
  const files = SPEAKEASY_FILES.map(([name, integrity]) => new Request(name, { cache: "reload", integrity }));
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(files)));
});

self.addEventListener("activate", (event) => {
  const tidy = async () => {
    for (const name of await caches.keys()) if (name.startsWith(PREFIX) && name !== CACHE) await caches.delete(name);
    // The first one takes the page that has registered it along: it would otherwise be offline only from the next start on.
    await self.clients.claim();
  };
  event.waitUntil(tidy());
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== self.location.origin) return;
  const answer = async () => {
    const cache = await caches.open(CACHE);
    // The page itself, whatever is behind its address: index.html, a query.
    const page =
      request.mode === "navigate" &&
      url.pathname.replace(/index\.html$/, "") === new URL("./", self.location.href).pathname;
    const kept = await cache.match(page ? "./" : request, { ignoreVary: true });
    return kept ?? fetch(request);
  };
  event.respondWith(answer());
});
