/**
 * Visits (SPEC 3): a claim, or Bluetooth opened, without Bluetooth. This tab goes to the bridge's own page and comes
 * back with what the bridge answered, twice: for the challenge, and with the proof.
 *
 * Whatever stands in a fragment is a stranger's: it is bounded, counts only in the tab that waits for it, once, and is
 * believed for nothing but the right answer to the challenge, which only a bridge that knows this phone's key can give.
 */
import { isHex } from "./protocol/bytes.ts";
import { claimProof, isAnswer, openProof, type Purpose } from "./protocol/claims.ts";
import type { KnownBridge, Segment } from "./protocol/types.ts";

const CLAIM_PORT = 7780;
/** A bridge that is there has a page in this time: the browser itself would wait for minutes, and then show its own. */
export const GONE_AFTER_MS = 20_000;
/** A visit that takes longer is over: time to be at the browser's own page of error, and to have it tried again there. */
export const LONGEST_MS = 600_000;
/** A challenge is good for 30 s: what was refused later than that may have been right. */
export const STALE_MS = 25_000;
/** What may be gone in a moment is tried again so often, after such a pause. */
export const TRIES = 3;
export const PAUSE_MS = 1_000;
export const LONGEST_FRAGMENT = 4096;

/** SPEC 3's words of refusal that a visit can get; all others are "failed". */
const WORDS = ["bad-proof", "not-allowed", "relayed", "slow-down", "busy", "full", "unseen", "failed"] as const;
export type VisitWord = (typeof WORDS)[number];
const PASSING: readonly string[] = ["busy", "unseen"];

/** What came of a visit. texts.visit has words for all that are no success, by `kind`, or by `word` where it is refused. */
export type Outcome = { bridge: string; purpose: Purpose } &
  // `segment`: what is between this phone and music: "up" means nothing, "away" that the speaker is not there
  (
    | { kind: "claimed"; until: number; by: "mac" | "address"; segment: Segment["state"] | "away" | null }
    | { kind: "opened"; until: number }
    | { kind: "refused"; word: VisitWord }
    | { kind: "offline" } // this phone is on no network at all
    | { kind: "no-address" } // where the bridge is was never learnt
    | { kind: "no-answer" } // nobody was there, or the person came back by the Back button
    | { kind: "another-bridge" } // somebody else's bridge has the address
    | { kind: "unproven" } // what answered does not know this phone's key
  );

/** What is remembered while this tab is away; nothing of it is secret. */
type Pending = { bridge: string; purpose: Purpose; addr: string; challenge: string; tries: number; began: number };

/** The browser's tab, as far as visits need it. */
export interface Tab {
  /** Where it is, with a fragment or without. */
  href(): string;
  /** Goes to another address, which in its history takes the place of this one or not. */
  go(url: string, replace: boolean): void;
  /** Ends a journey that has not arrived. */
  stop(): void;
  /** Loads this page anew. */
  reload(): void;
  /** After so long; sooner and with false if this page was left meanwhile and is shown again. */
  stays(ms: number): Promise<boolean>;
  readonly storage: Pick<Storage, "getItem" | "setItem" | "removeItem">;
  now(): number;
  online(): boolean;
}

const KEY = "speakeasy visit";

/** This window. Its session's storage is the tab's own, and outlives the journey to another site and back. */
export const thisTab: Tab = {
  href: () => location.href,
  go: (url, replace) => (replace ? location.replace(url) : location.assign(url)),
  stop: () => window.stop(),
  reload: () => location.reload(),
  stays: (ms) =>
    new Promise((resolve) => {
      const shown = (event: PageTransitionEvent) => {
        if (event.persisted) done(false);
      };
      const done = (stayed: boolean) => {
        clearTimeout(timer);
        removeEventListener("pageshow", shown);
        resolve(stayed);
      };
      const timer = setTimeout(done, ms, true);
      addEventListener("pageshow", shown);
    }),
  get storage() {
    return sessionStorage;
  },
  now: () => Date.now(),
  online: () => navigator.onLine,
};

/**
 * The fragment of the address line, which is taken out of there and of the tab's own history at once: nobody sees it, and
 * Back, a bookmark or a shared address has it no more. The browser's list of visited pages keeps what was opened (so a
 * label's code or an invite, where a link brought it), and no page can help that: SECURITY.md says what it is worth there.
 */
export function takeFragment(): string {
  const fragment = location.hash.slice(1);
  if (fragment) history.replaceState(history.state, "", location.pathname + location.search);
  return fragment;
}

/** Whether an address may stand in a URL: four numbers. */
const isAddress = (addr: unknown): addr is string =>
  typeof addr === "string" &&
  /^(\d{1,3}\.){3}\d{1,3}$/.test(addr) &&
  addr.split(".").every((part) => Number(part) < 256);

function isPending(value: unknown): value is Pending {
  const it = value as Pending | null;
  return (
    typeof it === "object" &&
    it !== null &&
    isHex(it.bridge, 8) &&
    (it.purpose === "claim" || it.purpose === "open") &&
    isAddress(it.addr) &&
    (it.challenge === "" || isHex(it.challenge, 16)) &&
    Number.isInteger(it.tries) &&
    Number.isFinite(it.began)
  );
}

function stored(tab: Tab): Pending | null {
  try {
    const found: unknown = JSON.parse(tab.storage.getItem(KEY) ?? "null");
    return isPending(found) ? found : null;
  } catch {
    return null; // what is stored is not ours, or nothing may be stored
  }
}

const age = (tab: Tab, pending: Pending) => Math.abs(tab.now() - pending.began);

/** Which visit this tab waits for: to be said while it is resumed. */
export function pendingVisit(tab: Tab = thisTab): Pick<Pending, "bridge" | "purpose"> | null {
  const found = stored(tab);
  return found && age(tab, found) < LONGEST_MS ? found : null;
}

/** Goes; comes back with an outcome only if that leads nowhere. */
async function goTo(tab: Tab, pending: Pending, what: Record<string, string>, replace: boolean): Promise<Outcome> {
  const { bridge, purpose } = pending;
  try {
    tab.storage.setItem(KEY, JSON.stringify({ ...pending, began: tab.now() }));
  } catch {
    return { bridge, purpose, kind: "no-answer" }; // nothing may be stored: nobody would know it again
  }
  const fragment = new URLSearchParams({ ...what, back: tab.href().replace(/#.*$/s, "") });
  tab.go(`http://${pending.addr}:${CLAIM_PORT}/p#${fragment}`, replace);
  if (!(await tab.stays(GONE_AFTER_MS))) {
    // What came of it a later page may know, which the person has come back from.
    tab.reload();
    return new Promise(() => {});
  }
  tab.stop();
  tab.storage.removeItem(KEY);
  return { bridge, purpose, kind: "no-answer" };
}

/**
 * Begins a visit: this tab leaves. Resolves only where it does not, after a third of a minute at most. For a person who comes back
 * by the browser's Back button the page is loaded anew.
 */
export async function startVisit(bridge: KnownBridge, purpose: Purpose, tab: Tab = thisTab): Promise<Outcome> {
  if (!tab.online()) return { bridge: bridge.bridge, purpose, kind: "offline" };
  if (!isAddress(bridge.addr)) return { bridge: bridge.bridge, purpose, kind: "no-address" };
  const pending = { bridge: bridge.bridge, purpose, addr: bridge.addr, challenge: "", tries: 1, began: tab.now() };
  return goTo(tab, pending, {}, false);
}

/** From the beginning: a proof that was right is used up, whatever came of it. */
const anew = (tab: Tab, pending: Pending) =>
  goTo(tab, { ...pending, challenge: "", tries: pending.tries + 1 }, {}, true);

type Told = { status: number; body: Record<string, unknown> };

/** What the bridge's page brought; null for anything else. */
function told(fragment: string): Told | null {
  if (fragment.length > LONGEST_FRAGMENT) return null;
  const given = new URLSearchParams(fragment);
  const status = given.get("status") ?? "";
  if (!/^[1-9][0-9]{2}$/.test(status)) return null;
  try {
    const body: unknown = JSON.parse(given.get("answer") ?? "");
    if (typeof body === "object" && body !== null && !Array.isArray(body))
      return { status: Number(status), body: body as Record<string, unknown> };
  } catch {
    // Below.
  }
  return null;
}

/**
 * When the page has loaded: goes on with the visit that this tab waits for, with the fragment that it came with. null if it
 * waits for none; else as startVisit, which may leave again. `find` is the store's.
 */
export async function resumeVisit(
  fragment: string,
  find: (bridge: string) => Promise<KnownBridge | null | undefined>,
  tab: Tab = thisTab,
): Promise<Outcome | null> {
  const pending = stored(tab);
  try {
    tab.storage.removeItem(KEY); // good once
  } catch {
    return null;
  }
  const known = pending && (await find(pending.bridge));
  if (!pending || !known) return null;
  const { bridge, purpose } = pending;
  // It has come to its end on a later page, which the person has come back from: a browser that keeps pages may show this one its old storage.
  if (known.visited !== undefined && known.visited > pending.began) return null;
  // Without an answer it had none, however long ago that was.
  const came = age(tab, pending) < LONGEST_MS ? told(fragment) : null;
  if (!came) return { bridge, purpose, kind: "no-answer" };
  const { status, body } = came;
  if (status !== 200) {
    const word = WORDS.find((word) => word === body.error) ?? "failed";
    const late = word === "bad-proof" && pending.challenge !== "" && age(tab, pending) > STALE_MS;
    if (!(late || PASSING.includes(word)) || pending.tries >= TRIES) return { bridge, purpose, kind: "refused", word };
    await tab.stays(PAUSE_MS);
    return anew(tab, pending);
  }
  // The answer of the other half of a visit: what the tab has stored is an older state of it, as a busy browser may give it.
  if (pending.tries < TRIES && (pending.challenge ? "challenge" : "answer") in body) return anew(tab, pending);
  if (!pending.challenge) {
    const challenge = body.challenge;
    if (!isHex(body.bridge, 8) || !isHex(challenge, 16)) return { bridge, purpose, kind: "unproven" };
    if (body.bridge !== bridge) return { bridge, purpose, kind: "another-bridge" };
    return goTo(tab, { ...pending, challenge }, { [purpose]: await proven(known, purpose, challenge) }, true);
  }
  const seconds = purpose === "claim" ? body.lease_s : body.open_s;
  if (!(await isAnswer(known.claimKey, purpose, pending.challenge, seconds, body.answer)))
    return { bridge, purpose, kind: "unproven" };
  const until = tab.now() + 1000 * (seconds as number);
  if (purpose === "open") return { bridge, purpose, kind: "opened", until };
  const by = body.by === "mac" ? "mac" : "address";
  const state = (["up", "down", "set-up", "undecided"] as const).find((state) => state === body.segment) ?? null;
  const segment = state === "up" && body.speaker === false ? "away" : state;
  return { bridge, purpose, kind: "claimed", until, by, segment };
}

/** What came of a visit, for the store. A phone that is not known is not in. `now`: ms since 1970. */
export function learnt(outcome: Outcome, now: number): { visited: number; inUntil?: number } {
  if (outcome.kind === "claimed") return { visited: now, inUntil: outcome.until };
  return outcome.kind === "refused" && outcome.word === "bad-proof" ? { visited: now, inUntil: 0 } : { visited: now };
}

/** What is posted to `/claim` or `/open`. */
async function proven(known: KnownBridge, purpose: Purpose, challenge: string): Promise<string> {
  const { bridge, phone, claimKey } = known;
  return JSON.stringify(
    purpose === "claim"
      ? { phone, challenge, addr: "", mac: "", proof: await claimProof(claimKey, bridge, phone, challenge) }
      : { phone, challenge, proof: await openProof(claimKey, bridge, phone, challenge) },
  );
}
