import "fake-indexeddb/auto";
import { IDBFactory } from "fake-indexeddb";
import { beforeEach, expect, test, vi } from "vitest";
import { hex } from "./protocol/bytes.ts";
import { hmac, importPhoneKey } from "./protocol/keys.ts";
import type { KnownBridge } from "./protocol/types.ts";
import { MOST_PENDING, type PendingKey, Store } from "./store.ts";

const BRIDGE = "b0b1b2b3b4b5b6b7";
const OTHER = "c0c1c2c3c4c5c6c7";
const trouble = (kind: string) => expect.objectContaining({ name: "StoreTrouble", kind });

beforeEach(() => {
  globalThis.indexedDB = new IDBFactory();
});

async function pendingKey(phone: string, bridge = BRIDGE): Promise<PendingKey> {
  const keys = await importPhoneKey(new Uint8Array(32).fill(phone.length + phone.charCodeAt(0)));
  return { bridge, phone, role: "owner", name: "Ada", ...keys };
}
async function known(bridge = BRIDGE): Promise<KnownBridge> {
  return { ...(await pendingKey("p", bridge)), addr: "10.66.0.117", ssid: "dorm", inUntil: 5 };
}
const proofBy = async (key: CryptoKey) => hex(await hmac(key, new Uint8Array(1)));

test("what is put is there when the page is opened again, with keys that work and cannot be read out", async () => {
  const bridge = await known();
  await (await Store.open()).put(bridge);
  const found = (await (await Store.open()).get(BRIDGE))!;
  expect(await proofBy(found.sessionKey)).toBe(await proofBy(bridge.sessionKey));
  expect([found.sessionKey.extractable, found.claimKey.extractable]).toEqual([false, false]);
  expect({ ...found, sessionKey: 0, claimKey: 0 }).toEqual({ ...bridge, sessionKey: 0, claimKey: 0 });
});

test("list, patch, remove", async () => {
  const store = await Store.open();
  expect([await store.list(), await store.get(BRIDGE)]).toEqual([[], null]);
  await store.put(await known(OTHER));
  await store.put(await known());
  expect((await store.list()).map((one) => one.bridge)).toEqual([BRIDGE, OTHER]);
  await store.patch(BRIDGE, { name: "Zoë", inUntil: 7 });
  expect(await store.get(BRIDGE)).toMatchObject({ name: "Zoë", inUntil: 7, addr: "10.66.0.117", phone: "p" });
  expect(await store.get(OTHER)).toMatchObject({ name: "Ada", inUntil: 5 });
  expect(await store.remove(BRIDGE, "p")).toBe(true);
  expect(await store.remove(BRIDGE, "p")).toBe(true); // in another tab
  await store.patch(BRIDGE, { name: "nobody" });
  expect((await store.list()).map((one) => one.bridge)).toEqual([OTHER]);
});

test("pending keys: the newest first, of each bridge apart, and so many", async () => {
  const store = await Store.open();
  await store.addPending(await pendingKey("other", OTHER));
  const names = "fedcba".split("");
  for (const phone of names) await store.addPending(await pendingKey(phone));
  const found = await store.pending(BRIDGE);
  expect(found.map((one) => one.phone)).toEqual(names.reverse().slice(0, MOST_PENDING));
  expect(Object.keys(found[0]!).sort()).toEqual(Object.keys(await pendingKey("a")).sort());
  expect((await store.pending(OTHER)).map((one) => one.phone)).toEqual(["other"]);
  expect(await store.list()).toEqual([]);
});

test("a pending key that is confirmed is the bridge's; others stay", async () => {
  const store = await Store.open();
  for (const phone of ["a", "b", "c"]) await store.addPending(await pendingKey(phone));
  const confirmed = await store.confirm(BRIDGE, "b", { role: "guest", name: "Bo" });
  const found = (await store.get(BRIDGE))!;
  for (const one of [confirmed, found])
    expect(one).toMatchObject({
      bridge: BRIDGE,
      phone: "b",
      role: "guest",
      name: "Bo",
      addr: "",
      ssid: "",
      inUntil: 0,
    });
  expect(await proofBy(found.sessionKey)).toBe(await proofBy((await pendingKey("b")).sessionKey));
  expect((await store.pending(BRIDGE)).map((one) => one.phone)).toEqual(["c", "a"]);
});

test("confirming the first owner makes the other pending keys of that bridge void, and of no other", async () => {
  const store = await Store.open();
  await store.addPending(await pendingKey("a", OTHER));
  for (const phone of ["a", "b"]) await store.addPending(await pendingKey(phone));
  await store.confirm(BRIDGE, "b", { role: "owner", name: "Ada" }, true);
  expect([(await store.pending(BRIDGE)).length, (await store.pending(OTHER)).length]).toEqual([0, 1]);
});

test("a bridge that is paired with anew keeps its place, but not its lease", async () => {
  const store = await Store.open();
  await store.put(await known());
  await store.addPending(await pendingKey("new"));
  await store.confirm(BRIDGE, "new", { role: "owner", name: "Ada" });
  expect(await store.get(BRIDGE)).toMatchObject({ phone: "new", addr: "10.66.0.117", ssid: "dorm", inUntil: 0 });
});

test("who removes an old key does not remove the new one that another tab has paired", async () => {
  const store = await Store.open();
  await store.put(await known());
  await store.addPending(await pendingKey("new"));
  await (await Store.open()).confirm(BRIDGE, "new", { role: "owner", name: "Ada" });
  expect(await store.remove(BRIDGE, "p")).toBe(false);
  expect(await store.get(BRIDGE)).toMatchObject({ phone: "new" });
});

test("removing a bridge leaves what is pending", async () => {
  const store = await Store.open();
  await store.put(await known());
  await store.addPending(await pendingKey("a"));
  await store.remove(BRIDGE, "p");
  expect((await store.pending(BRIDGE)).length).toBe(1);
});

test("a key that is not pending is not confirmed", async () => {
  const store = await Store.open();
  await store.put(await known());
  await expect(store.confirm(BRIDGE, "nobody", { role: "owner", name: "" })).rejects.toBeInstanceOf(Error);
  expect(await store.get(BRIDGE)).toMatchObject({ phone: "p" });
  await store.patch(BRIDGE, { name: "still there" });
});

test("a browser without IndexedDB, or that refuses it, is told apart from one without room", async () => {
  const given = globalThis.indexedDB;
  globalThis.indexedDB = undefined as unknown as IDBFactory;
  await expect(Store.open()).rejects.toEqual(trouble("no-store"));
  for (const [name, kind] of [
    ["SecurityError", "no-store"],
    ["InvalidStateError", "no-store"],
    ["QuotaExceededError", "store-full"],
    ["VersionError", "newer-store"],
  ] as const) {
    globalThis.indexedDB = {
      open() {
        throw new DOMException("", name);
      },
    } as unknown as IDBFactory;
    await expect(Store.open()).rejects.toEqual(trouble(kind));
  }
  globalThis.indexedDB = given;
});

test("a database of a newer page is left alone", async () => {
  const store = await Store.open();
  await store.put(await known());
  await new Promise((resolve, reject) => {
    const newer = indexedDB.open("speakeasy", 99); // this page gives way
    newer.onsuccess = resolve;
    newer.onerror = reject;
  });
  await expect(store.list()).rejects.toEqual(trouble("newer-store"));
  await expect(Store.open()).rejects.toEqual(trouble("newer-store"));
});

test("the browser is asked to keep it, and may say no", async () => {
  const persist = vi.fn(() => Promise.reject(new Error("no")));
  vi.stubGlobal("navigator", { storage: { persist } });
  try {
    await Store.open();
  } finally {
    vi.unstubAllGlobals();
  }
  expect(persist).toHaveBeenCalledOnce();
});
