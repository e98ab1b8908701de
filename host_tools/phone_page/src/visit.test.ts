import { readFileSync } from "node:fs";
import { beforeEach, expect, test } from "vitest";
import { fromHex } from "./protocol/bytes.ts";
import type { Purpose } from "./protocol/claims.ts";
import { importPhoneKey } from "./protocol/keys.ts";
import type { KnownBridge } from "./protocol/types.ts";
import { texts } from "./texts.ts";
import {
  GONE_AFTER_MS,
  learnt,
  LONGEST_FRAGMENT,
  LONGEST_MS,
  type Outcome,
  pendingVisit,
  resumeVisit,
  STALE_MS,
  startVisit,
  type Tab,
  TRIES,
} from "./visit.ts";

type Vector = Record<"phone_key" | "bridge" | "phone" | "challenge" | "proof" | "answer", string> & {
  addr?: string;
  mac?: string;
  lease_s?: number;
  open_s?: number;
};
const vectors = JSON.parse(readFileSync("../../tests/vectors/pairing.json", "utf8")) as Record<
  "claims" | "opens",
  Vector[]
>;
const claimVector = vectors.claims.find((vector) => vector.addr === "" && vector.mac === "")!;
const openVector = vectors.opens[0]!;
const HOME = "https://page.example/speakeasy/";

/** A tab that goes nowhere by itself: the test says what becomes of it. */
class TestTab implements Tab {
  at = HOME;
  time = 1_000_000;
  went: { url: string; replace: boolean }[] = [];
  stopped = 0;
  stored = new Map<string, string>();
  /** How each stay ends; for ever where there is nothing left, as in a tab that has left. */
  ends: boolean[] = [];
  waited: number[] = [];
  storage = {
    getItem: (key: string) => this.stored.get(key) ?? null,
    setItem: (key: string, value: string) => void this.stored.set(key, value),
    removeItem: (key: string) => void this.stored.delete(key),
  };
  href = () => this.at;
  go = (url: string, replace: boolean) => void this.went.push({ url, replace });
  stop = () => void this.stopped++;
  reloaded = 0;
  reload = () => void this.reloaded++;
  now = () => this.time;
  connected = true;
  online = () => this.connected;
  stays(ms: number): Promise<boolean> {
    this.waited.push(ms);
    const end = this.ends.shift();
    return end === undefined ? new Promise(() => {}) : Promise.resolve(end);
  }
}

let tab: TestTab;
let known: KnownBridge;
const find = (bridge: string) => Promise.resolve(bridge === known.bridge ? known : undefined);
const given = (at = -1) => new URLSearchParams(new URL(tab.went.at(at)!.url).hash.slice(1));
const brought = (status: number, body: unknown) =>
  String(new URLSearchParams({ status: String(status), answer: JSON.stringify(body) }));

beforeEach(async () => {
  tab = new TestTab();
  const keys = await importPhoneKey(fromHex(claimVector.phone_key));
  known = {
    ...{ bridge: claimVector.bridge, phone: claimVector.phone, role: "owner", name: "Ada", ssid: "Dorm", inUntil: 0 },
    ...{ addr: "10.66.0.5", ...keys },
  } as KnownBridge;
});

/** Starts a visit and lets it leave. */
async function leave(purpose: Purpose): Promise<void> {
  void startVisit(known, purpose, tab);
  await tick();
}
const tick = () => new Promise((resolve) => setTimeout(resolve, 20));

/** The page loads anew with what the bridge brought; null: it has left again. */
async function back(fragment: string): Promise<Outcome | "left" | null> {
  const went = tab.went.length;
  const resumed = resumeVisit(fragment, find, tab);
  for (;;) {
    const ended = await Promise.race([resumed, tick().then(() => "on" as const)]);
    if (ended !== "on") return ended;
    if (tab.went.length > went) return "left";
  }
}
const challenged = (vector: Vector) => brought(200, { bridge: vector.bridge, challenge: vector.challenge });

test("a claim by two visits, as the vectors have it", async () => {
  tab.at = `${HOME}?source=icon#old`;
  await leave("claim");
  expect(tab.went[0]!.url.split("#")[0]).toBe("http://10.66.0.5:7780/p");
  expect([...given().keys()]).toEqual(["back"]);
  expect(given().get("back")).toBe(`${HOME}?source=icon`);
  expect(tab.went[0]!.replace).toBe(false); // the Back button leads back here
  expect(pendingVisit(tab)).toMatchObject({ bridge: known.bridge, purpose: "claim" });

  expect(await back(challenged(claimVector))).toBe("left");
  expect(tab.went[1]!.url.split("#")[0]).toBe("http://10.66.0.5:7780/p");
  expect(tab.went[1]!.replace).toBe(true);
  const { phone, challenge, proof } = claimVector;
  expect(JSON.parse(given().get("claim")!)).toEqual({ phone, challenge, addr: "", mac: "", proof });

  tab.time += 500;
  const { lease_s, answer } = claimVector;
  const outcome = await back(brought(200, { addr: "10.99.0.5", lease_s, by: "mac", segment: "set-up", answer }));
  expect(outcome).toEqual({
    ...{ kind: "claimed", bridge: known.bridge, purpose: "claim", by: "mac", segment: "set-up" },
    until: tab.time + 43_200_000,
  });
  expect(tab.stored.size).toBe(0);
});

test.each([
  [{ segment: "up", speaker: true }, "up"],
  [{ segment: "up", speaker: false }, "away"],
  [{ segment: "undecided", speaker: false }, "undecided"],
  [{ segment: "up" }, "up"],
  [{ segment: "toString" }, null],
  [{ speaker: false }, null],
])("what is still between this phone and music: %o", async (told, segment) => {
  await leave("claim");
  await back(challenged(claimVector));
  const { lease_s, answer } = claimVector;
  expect(await back(brought(200, { lease_s, answer, ...told }))).toMatchObject({ kind: "claimed", segment });
});

test("Bluetooth opened by two visits, as the vectors have it", async () => {
  await leave("open");
  expect(await back(challenged(openVector))).toBe("left");
  const { phone, challenge, proof, open_s, answer } = openVector;
  expect(JSON.parse(given().get("open")!)).toEqual({ phone, challenge, proof });
  expect(await back(brought(200, { open_s, answer }))).toEqual({
    ...{ kind: "opened", bridge: known.bridge, purpose: "open", until: tab.time + 300_000 },
  });
});

test("nothing that is kept or sent holds a key", async () => {
  await leave("claim");
  await back(challenged(claimVector));
  for (const kept of tab.stored.values()) {
    expect(kept).not.toContain(claimVector.proof);
    expect(Object.keys(JSON.parse(kept)).sort()).toEqual(
      ["addr", "began", "bridge", "challenge", "purpose", "tries"].sort(),
    );
  }
  for (const { url } of tab.went) {
    expect(url).not.toContain(claimVector.phone_key);
    expect(new URL(url).search).toBe("");
    expect(new URL(url).pathname).toBe("/p");
  }
});

test("without a visit that is pending a fragment means nothing", async () => {
  expect(await back(challenged(claimVector))).toBeNull();
  const { lease_s, answer } = claimVector;
  expect(await back(brought(200, { lease_s, answer }))).toBeNull();
  expect(tab.went).toEqual([]);
});

test("a fragment is good once, and for the bridge that was asked", async () => {
  await leave("claim");
  expect(await back(brought(200, { bridge: "00".repeat(8), challenge: claimVector.challenge }))).toMatchObject({
    kind: "another-bridge",
  });
  expect(await back(challenged(claimVector))).toBeNull();
  await leave("claim");
  known = { ...known, bridge: "11".repeat(8) }; // this phone has left it meanwhile
  expect(await back(challenged(claimVector))).toBeNull();
  expect(tab.went.length).toBe(2);
});

test.each([
  ["no fragment at all", ""],
  ["a fragment of another kind", "code=0000"],
  ["no answer", "status=0&answer="],
  ["no status", "answer=%7B%7D"],
  ["a status that is none", "status=2000&answer=%7B%7D"],
  ["no JSON", "status=200&answer=%7B"],
  ["no object", "status=200&answer=%5B%5D"],
  ["nothing", "status=200&answer=null"],
  ["too long", `status=200&answer=%7B%7D&x=${"x".repeat(LONGEST_FRAGMENT)}`],
])("the person came back without an answer: %s", async (_, fragment) => {
  await leave("claim");
  expect(await back(fragment)).toEqual({ kind: "no-answer", bridge: known.bridge, purpose: "claim" });
  expect(tab.went.length).toBe(1);
});

test("a fragment of just the length is read", async () => {
  await leave("claim");
  const fragment = challenged(claimVector) + "&x=";
  expect(await back(fragment + "x".repeat(LONGEST_FRAGMENT - fragment.length))).toBe("left");
});

test.each([
  ["no challenge", { bridge: claimVector.bridge }],
  ["a challenge that is none", { bridge: claimVector.bridge, challenge: "x".repeat(32) }],
  ["a longer one", { bridge: claimVector.bridge, challenge: "00".repeat(17) }],
  ["no bridge", { challenge: claimVector.challenge }],
  ["a bridge that is no name", { bridge: { toString: "x" }, challenge: claimVector.challenge }],
])("what is no challenge gets no proof: %s", async (_, body) => {
  await leave("claim");
  expect(await back(brought(200, body))).toMatchObject({ kind: "unproven" });
  expect(tab.went.length).toBe(1);
});

test.each([
  ["none", { lease_s: 43200 }],
  ["another", { lease_s: 43200, answer: "00".repeat(32) }],
  ["one for another time", { lease_s: 43201, answer: claimVector.answer }],
  ["one without a time", { answer: claimVector.answer }],
  ["one of another purpose", { open_s: 43200, answer: claimVector.answer }],
  ["one of another form", { lease_s: 43200, answer: [claimVector.answer] }],
])("a success without the right answer is none: %s", async (_, body) => {
  await leave("claim");
  expect(await back(challenged(claimVector))).toBe("left");
  expect(await back(brought(200, body))).toEqual({ kind: "unproven", bridge: known.bridge, purpose: "claim" });
});

const answered = () => brought(200, { lease_s: claimVector.lease_s, answer: claimVector.answer });
test.each([
  ["the answer to a challenge that it does not know", false, answered, 1],
  ["a challenge where it has one", true, () => challenged(claimVector), 2],
])("what belongs to the visit's other half begins it anew, so often: %s", async (_, second, other, journeys) => {
  await leave("claim");
  for (let tries = 1; tries < TRIES; tries++) {
    if (second) expect(await back(challenged(claimVector))).toBe("left");
    expect(await back(other())).toBe("left");
    expect([...given().keys()]).toEqual(["back"]);
    expect(tab.went.length).toBe(tries * journeys + 1);
  }
  if (second) expect(await back(challenged(claimVector))).toBe("left");
  expect(await back(other())).toMatchObject({ kind: "unproven" });
});

test.each(["bad-proof", "not-allowed", "relayed", "slow-down", "full"])("refused at once: %s", async (word) => {
  await leave("open");
  await back(challenged(openVector));
  const outcome = await back(brought(403, { error: word, say: "<b>whatever" }));
  expect(outcome).toEqual({ kind: "refused", word, bridge: known.bridge, purpose: "open" });
});

test("a word that nobody knows is a failure", async () => {
  for (const error of ["constructor", "x", 5, null, ["full"]]) {
    await leave("claim");
    expect(await back(brought(500, { error }))).toMatchObject({ kind: "refused", word: "failed" });
  }
});

test.each(["busy", "unseen"])(
  "what passes is tried again, from the challenge on, and not for ever: %s",
  async (word) => {
    await leave("claim");
    for (let tries = 1; tries < TRIES; tries++) {
      expect(await back(challenged(claimVector))).toBe("left");
      tab.ends.push(true);
      expect(await back(brought(503, { error: word }))).toBe("left");
      expect([...given().keys()]).toEqual(["back"]);
    }
    expect(await back(brought(503, { error: word }))).toMatchObject({ kind: "refused", word });
  },
);

test("a visit that is old is over, and had no answer", async () => {
  await leave("claim");
  tab.time += LONGEST_MS - 1;
  expect(pendingVisit(tab)).not.toBeNull();
  tab.time += 1;
  expect(pendingVisit(tab)).toBeNull();
  expect(await back(challenged(claimVector))).toMatchObject({ kind: "no-answer" });
  await leave("claim");
  tab.time += 100 * LONGEST_MS;
  expect(await back("")).toMatchObject({ kind: "no-answer" });
});

test("the browser's own page of error tried it again, minutes later", async () => {
  await leave("claim");
  tab.time += LONGEST_MS - 1;
  expect(await back(challenged(claimVector))).toBe("left");
  // The second time it is the proof that comes too late: it is made anew. Not in time: that is a refusal.
  tab.time += STALE_MS;
  expect(await back(brought(403, { error: "bad-proof" }))).toMatchObject({ kind: "refused", word: "bad-proof" });
  await leave("claim");
  expect(await back(challenged(claimVector))).toBe("left");
  tab.time += STALE_MS + 1;
  tab.ends.push(true);
  expect(await back(brought(403, { error: "bad-proof" }))).toBe("left");
  expect([...given().keys()]).toEqual(["back"]);
});

test("a phone that is on no network does not leave", async () => {
  tab.connected = false;
  expect(await startVisit(known, "claim", tab)).toMatchObject({ kind: "offline" });
  expect(tab.went).toEqual([]);
});

test("what is stored may be anything", async () => {
  await leave("claim");
  const [[key, right]] = [...tab.stored] as [[string, string]];
  const pending = JSON.parse(right) as Record<string, unknown>;
  const bent = ["", "x", "null", "5", "[]", "{}"];
  for (const name of Object.keys(pending))
    for (const value of [null, {}, "x", 0.5, "10.66.0.5:80@evil"]) {
      if (name === "began" && value === 0.5) continue;
      bent.push(JSON.stringify({ ...pending, [name]: value }));
    }
  for (const stored of bent) {
    tab.stored.set(key, stored);
    expect(pendingVisit(tab), stored).toBeNull();
    expect(await back(challenged(claimVector)), stored).toBeNull();
  }
  expect(tab.went.length).toBe(1);
});

test("nobody there: the journey is ended before the browser gives up", async () => {
  tab.ends = [true];
  expect(await startVisit(known, "claim", tab)).toEqual({
    ...{ kind: "no-answer", bridge: known.bridge, purpose: "claim" },
  });
  expect([tab.stopped, tab.waited, tab.stored.size]).toEqual([1, [GONE_AFTER_MS], 0]);
});

test("the person comes back by the Back button, to the page as it was", async () => {
  tab.ends = [false];
  await leave("claim");
  expect([tab.stopped, tab.reloaded]).toEqual([0, 1]);
  // Loaded anew it says so once, where no later page has had the answer.
  expect(await back("")).toMatchObject({ kind: "no-answer" });
  expect(await back("")).toBeNull();
});

test.each([
  [-1, "no-answer"],
  [0, "no-answer"],
  [1, null],
])("a visit that has ended %i ms after this page has begun one", async (later, kind) => {
  await leave("claim");
  known = { ...known, visited: tab.time + later };
  expect((await back("")) as Outcome | null).toEqual(kind && expect.objectContaining({ kind }));
});

test.each(["", "bridge.example", "10.66.0.5:80", "10.66.0.256", "10.66.0.5/../x", "1.2.3.4@evil.example"])(
  "an address that is none is not gone to: '%s'",
  async (addr) => {
    known = { ...known, addr };
    expect(await startVisit(known, "claim", tab)).toMatchObject({ kind: "no-address" });
    expect(tab.went).toEqual([]);
  },
);

test("a browser that stores nothing is not left", async () => {
  tab.storage.setItem = () => {
    throw new Error("denied");
  };
  expect(await startVisit(known, "claim", tab)).toMatchObject({ kind: "no-answer" });
  expect(tab.went).toEqual([]);
});

test("what a visit tells about being let in", () => {
  const of = { bridge: known.bridge, purpose: "claim" } as const;
  expect(learnt({ ...of, kind: "claimed", until: 7, by: "mac", segment: null }, 5)).toEqual({ visited: 5, inUntil: 7 });
  expect(learnt({ ...of, kind: "refused", word: "bad-proof" }, 5)).toEqual({ visited: 5, inUntil: 0 });
  for (const word of ["full", "busy", "slow-down", "failed"] as const)
    expect(learnt({ ...of, kind: "refused", word }, 5)).toEqual({ visited: 5 });
  for (const kind of ["no-answer", "unproven", "another-bridge"] as const)
    expect(learnt({ ...of, kind }, 5)).toEqual({ visited: 5 });
  expect(learnt({ ...of, purpose: "open", kind: "opened", until: 7 }, 5)).toEqual({ visited: 5 });
});

test("there are words for whatever is no success", () => {
  const words = Object.values(texts.visit) as { what: string; next: string }[];
  expect(words.length).toBe(13);
  for (const { what, next } of words) expect(what && next).toBeTruthy();
});
