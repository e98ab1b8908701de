import "fake-indexeddb/auto";
import { IDBFactory } from "fake-indexeddb";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { MOST_LOST, openKnown, pair } from "./pair.ts";
import { importHmac, importSecret } from "./protocol/keys.ts";
import { Registry, TestBridge } from "./protocol/testing/bridge.ts";
import type { Credential } from "./protocol/types.ts";
import { Store, StoreTrouble } from "./store.ts";

const trouble = (kind: string) => expect.objectContaining({ name: "Trouble", kind });
const codeOf = async (bridge: TestBridge): Promise<Credential> => ({
  mode: "setup-code",
  secret: await importHmac(bridge.setupCode),
});

beforeEach(() => {
  globalThis.indexedDB = new IDBFactory();
});

async function setting() {
  const bridge = new TestBridge();
  const registry = (bridge.registry = new Registry(bridge));
  return { bridge, registry, store: await Store.open(), code: await codeOf(bridge) };
}

test("a new bridge: its first phone is an owner, and has a session of its own", async () => {
  const { bridge, registry, store, code } = await setting();
  const { known, session, wasKnown } = await pair(store, bridge.connect(), code, "Ada");
  expect(known).toMatchObject({ bridge: bridge.id, role: "owner", name: "Ada", addr: "", inUntil: 0 });
  expect(session).toMatchObject({ bridge: bridge.id, role: "owner", name: "Ada" });
  expect(wasKnown).toBe(false);
  expect([...registry.phones.keys()]).toEqual([known.phone]);
  expect(await store.list()).toMatchObject([{ phone: known.phone }]);
  expect(await store.pending(bridge.id)).toEqual([]);
  await session.request("confirm", {}).catch(() => {});
  await session.end();
  expect(bridge.requests.map((one) => one.op)).toEqual(["enrol", "confirm", "bye", "confirm", "bye"]);
});

test("a bridge whose state still says that nobody owns it, a moment after", async () => {
  const { bridge, registry, store, code } = await setting();
  Object.defineProperty(bridge, "state", { get: () => 0, set: () => {} });
  await pair(store, bridge.connect(), code, "Ada");
  expect([registry.phones.size, bridge.connections.length]).toEqual([1, 2]);
});

test("a phone that is paired already is not enrolled again", async () => {
  const { bridge, registry, store, code } = await setting();
  await (await pair(store, bridge.connect(), code, "Ada")).session.end();
  const again = await pair(store, bridge.connect(), code, "Bob");
  expect([again.wasKnown, again.known.name, registry.phones.size]).toEqual([true, "Ada", 1]);
});

test("a bridge that was reset takes the phone as a new one", async () => {
  const { bridge, registry, store, code } = await setting();
  const first = await pair(store, bridge.connect(), code, "Ada");
  await first.session.end();
  registry.reset();
  const { sessionKey, claimKey } = first.known;
  await store.addPending({ bridge: bridge.id, phone: "00".repeat(8), role: "owner", name: "x", sessionKey, claimKey });
  const before = bridge.connections.length;
  const second = await pair(store, bridge.connect(), code, "Ada");
  expect(second.wasKnown).toBe(false);
  // Nobody owns it: no key of before is worth a try, nor worth being kept.
  expect([bridge.connections.length - before, await store.pending(bridge.id)]).toEqual([2, []]);
  expect([...registry.phones.keys()]).toEqual([second.known.phone]);
  expect(await store.list()).toMatchObject([{ phone: second.known.phone }]);
});

test("a key that is no good any more stays until there is a better one", async () => {
  const { bridge, registry, store, code } = await setting();
  const { known } = await pair(store, bridge.connect(), code, "Ada");
  bridge.secrets.delete(`02${known.phone}`);
  await expect(pair(store, bridge.connect(), code, "Ada")).rejects.toEqual(trouble("has-owner"));
  expect(await store.list()).toMatchObject([{ phone: known.phone }]);
  bridge.secrets.set("030000000000000001", new Uint8Array(16).fill(3));
  const invite = {
    mode: "invite",
    id: "0000000000000001",
    secret: await importSecret(new Uint8Array(16).fill(3)),
  } as const;
  const paired = await pair(store, bridge.connect(), invite, "Ada");
  expect(paired).toMatchObject({ wasKnown: false, known: { role: "guest" } });
  expect(registry.phones.size).toBe(2);
  expect(await store.list()).toMatchObject([{ phone: paired.known.phone, role: "guest" }]);
});

test("a role that has changed meanwhile is learnt", async () => {
  const { bridge, registry, store, code } = await setting();
  const { known } = await pair(store, bridge.connect(), code, "Ada");
  registry.phones.get(known.phone)!.role = "guest";
  registry.phones.get(known.phone)!.name = "Ada's phone";
  const again = await pair(store, bridge.connect(), code, "Ada");
  expect(again.known).toMatchObject({ role: "guest", name: "Ada's phone" });
  expect(await store.get(bridge.id)).toMatchObject({ role: "guest", name: "Ada's phone" });
});

test("a wrong code is said at once, and nothing is kept", async () => {
  const { bridge, store } = await setting();
  const wrong: Credential = { mode: "setup-code", secret: await importHmac(new Uint8Array(16)) };
  await expect(pair(store, bridge.connect(), wrong, "Ada")).rejects.toEqual(trouble("wrong-secret"));
  expect([bridge.connections.length, (await store.list()).length]).toEqual([1, 0]);
});

test("a bridge that is full says so, and nothing is kept", async () => {
  const { bridge, store, code } = await setting();
  bridge.answer = () => ({ ok: false, error: "full", say: "There are 16 phones." });
  await expect(pair(store, bridge.connect(), code, "Ada")).rejects.toMatchObject({ name: "Refused", word: "full" });
  expect([bridge.connections.length, await store.list(), await store.pending(bridge.id)]).toEqual([1, [], []]);
});

test("where nothing can be kept, the bridge is not told to save anything", async () => {
  const { bridge, registry, store, code } = await setting();
  vi.spyOn(store, "addPending").mockRejectedValue(new StoreTrouble("store-full"));
  await expect(pair(store, bridge.connect(), code, "Ada")).rejects.toMatchObject({ kind: "store-full" });
  expect([registry.phones.size, bridge.requests.map((one) => one.op)]).toEqual([0, ["enrol", "bye"]]);
});

test("an answer to enrol that is no key is not kept", async () => {
  const { bridge, store, code } = await setting();
  bridge.answer = () => ({ phone: "p", key: "k", role: "owner" });
  await expect(pair(store, bridge.connect(), code, "Ada")).rejects.toEqual(trouble("broken"));
  expect([await store.list(), await store.pending(bridge.id)]).toEqual([[], []]);
});

test("another bridge that answers over a new connection is told nothing", async () => {
  const { bridge, store, code } = await setting();
  const other = new TestBridge();
  other.id = "00".repeat(8);
  const link = bridge.connect();
  link.again = () => Promise.resolve(other.connect());
  await expect(pair(store, link, code, "Ada")).rejects.toEqual(trouble("another-bridge"));
  expect([other.writes, other.connections.map((one) => one.gone)]).toEqual([0, [true]]);
});

test("a link that is lost again and again", async () => {
  const { bridge, store, code } = await setting();
  bridge.spoil = () => Uint8Array.of(9);
  await expect(pair(store, bridge.connect(), code, "Ada")).rejects.toEqual(trouble("broken"));
  expect(bridge.connections.length).toBe(1 + MOST_LOST);
});

test("a known bridge's session is for that bridge alone", async () => {
  const { bridge, store, code } = await setting();
  const { known } = await pair(store, bridge.connect(), code, "Ada");
  expect(await openKnown(bridge.connect(), known)).toMatchObject({ role: "owner", name: "Ada" });
  bridge.id = "00".repeat(8);
  await expect(openKnown(bridge.connect(), known)).rejects.toEqual(trouble("another-bridge"));
});

describe("the link is lost once, wherever it may be", () => {
  test.each(["breakAt", "loseAt"] as const)("%s", async (what) => {
    const whole = await setting();
    await (await pair(whole.store, whole.bridge.connect(), whole.code, "Ada")).session.end();
    const most = what === "breakAt" ? whole.bridge.writes : whole.bridge.notifications;
    expect(most).toBeGreaterThan(8);
    for (let at = 0; at < most; at++) {
      globalThis.indexedDB = new IDBFactory();
      const { bridge, registry, store, code } = await setting();
      bridge[what] = at;
      const { session, known } = await pair(store, bridge.connect(), code, "Ada");
      await session.end();
      expect([...registry.phones.keys()]).toEqual([known.phone]);
      expect(await store.list()).toMatchObject([{ phone: known.phone, role: "owner" }]);
      expect(await openKnown(bridge.connect(), known)).toMatchObject({ role: "owner" });
    }
  });

  test("and this page closed then: it is paired the next time, once", async () => {
    const whole = await setting();
    await (await pair(whole.store, whole.bridge.connect(), whole.code, "Ada")).session.end();
    for (let at = 0; at < whole.bridge.notifications - 1; at++) {
      globalThis.indexedDB = new IDBFactory();
      const { bridge, registry, store, code } = await setting();
      bridge.loseAt = at;
      const link = bridge.connect();
      link.again = () => Promise.reject(new Error("closed"));
      const closed = await pair(store, link, code, "Ada").catch((error: unknown) => error);
      expect(closed).toBeInstanceOf(Error);
      const { session, known } = await pair(await Store.open(), bridge.connect(), code, "Ada");
      await session.end();
      expect([...registry.phones.keys()]).toEqual([known.phone]);
      expect(await store.list()).toMatchObject([{ phone: known.phone, role: "owner" }]);
    }
  });
});
