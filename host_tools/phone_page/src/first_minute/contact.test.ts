import "fake-indexeddb/auto";
import { IDBFactory } from "fake-indexeddb";
import { beforeEach, expect, test, vi } from "vitest";
import { importHmac } from "../protocol/keys.ts";
import { Registry, TestBridge } from "../protocol/testing/bridge.ts";
import type { Link } from "../protocol/types.ts";
import { Store } from "../store.ts";
import { Contact } from "./contact.ts";

/** A machine that does much else takes its time. */
const soon = (what: () => void) => vi.waitFor(what, { timeout: 30_000 });
const hungUp = expect.objectContaining({ name: "Trouble", kind: "hung-up" });

beforeEach(() => {
  globalThis.indexedDB = new IDBFactory();
});

/** A contact whose person chooses in the browser's list when `choose` says so. */
async function setting() {
  const bridge = new TestBridge();
  bridge.registry = new Registry(bridge);
  const store = await Store.open();
  let choose!: () => void;
  const chosen = new Promise<Link>((resolve) => (choose = () => resolve(bridge.connect())));
  const list = vi.fn(() => chosen);
  const secret = await importHmac(bridge.setupCode);
  const contact = new Contact(list, store, { mode: "setup-code", secret }, null);
  contact.onChange = vi.fn();
  return { bridge, store, contact, choose, list };
}

test("a connection that comes after the end is hung up, and nobody is told of it", async () => {
  const { bridge, contact, choose } = await setting();
  const coming = contact.reach(true);
  await contact.end();
  choose();
  await expect(coming).rejects.toEqual(hungUp);
  await soon(() => expect(bridge.connections.map((one) => one.gone)).toEqual([true]));
  expect([contact.session, contact.trouble]).toEqual([null, null]);
  expect(contact.onChange).not.toHaveBeenCalled();
});

test("whoever asks again meanwhile waits for the same connection", async () => {
  const { bridge, contact, choose, list } = await setting();
  const first = contact.reach(true);
  await contact.end();
  const second = contact.reach(true);
  choose();
  expect(await second).toBe(await first);
  expect([contact.session, list.mock.calls.length]).toEqual([await second, 1]);
  await contact.end();
  expect(bridge.connections.map((one) => one.gone)).toEqual([true]);
});

test("after a close nobody gets it", async () => {
  const { bridge, contact, choose } = await setting();
  const first = contact.reach(true);
  contact.close();
  const second = contact.reach(true);
  choose();
  await expect(first).rejects.toEqual(hungUp);
  await expect(second).rejects.toEqual(hungUp);
  await soon(() => expect(bridge.connections.map((one) => one.gone)).toEqual([true]));
  expect(contact.session).toBeNull();
});

test("a pairing that is done after the end has its key, and no session", async () => {
  const { bridge, store, contact, choose } = await setting();
  const coming = contact.pair("Ada");
  await contact.end();
  choose();
  await expect(coming).rejects.toEqual(hungUp);
  await soon(() => expect(bridge.connections.every((one) => one.gone)).toBe(true));
  expect([contact.session, (await store.list()).length]).toEqual([null, 1]);
});

test("nothing else connects while this phone is being paired", async () => {
  const { contact, choose, list } = await setting();
  const paired = contact.pair("Ada");
  await soon(() => expect(list).toHaveBeenCalled());
  const reached = contact.reach(true);
  choose();
  expect(await reached).toBe(await paired);
  expect(list).toHaveBeenCalledTimes(1);
  expect(contact.known).toMatchObject({ name: "Ada", role: "owner" });
  await contact.end();
});

test("while a person reads, the bridge is told that somebody is there; not while the page is out of sight", async () => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
  const page = { visibilityState: "visible" };
  vi.stubGlobal("document", page);
  try {
    const { contact, choose } = await setting();
    choose();
    const said = vi.spyOn(await contact.reach(true), "request");
    // A bridge hangs up on a phone that says nothing for 30 s (SPEC 2).
    vi.advanceTimersByTime(29_000);
    expect(new Set(said.mock.calls.map(([op]) => op))).toEqual(new Set(["enrol"]));
    page.visibilityState = "hidden";
    said.mockClear();
    vi.advanceTimersByTime(60_000);
    expect(said).not.toHaveBeenCalled();
    page.visibilityState = "visible";
    const paired = vi.spyOn(await contact.pair("Ada"), "request");
    vi.advanceTimersByTime(29_000);
    expect(new Set(paired.mock.calls.map(([op]) => op))).toEqual(new Set(["status"]));
    await contact.end();
    paired.mockClear();
    vi.advanceTimersByTime(60_000);
    expect(paired).not.toHaveBeenCalled();
  } finally {
    vi.useRealTimers();
    vi.unstubAllGlobals();
  }
});
