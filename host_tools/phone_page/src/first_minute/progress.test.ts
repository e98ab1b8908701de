import { expect, test } from "vitest";
import { keepProgress, PLACES, readProgress } from "./progress.ts";

/** A tab's storage. */
function tab() {
  const kept = new Map<string, string>();
  return {
    kept,
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, value: string) => void kept.set(key, value),
    removeItem: (key: string) => void kept.delete(key),
  };
}

test("a tab knows its place until it is done", () => {
  const storage = tab();
  expect(readProgress(() => storage)).toBe(null);
  for (const place of PLACES) {
    keepProgress({ bridge: "a1b2c3d4", place }, () => storage);
    expect(readProgress(() => storage)).toEqual({ bridge: "a1b2c3d4", place });
  }
  keepProgress(null, () => storage);
  expect([readProgress(() => storage), storage.kept.size]).toEqual([null, 0]);
});

test.each([
  "no JSON",
  "null",
  "7",
  '{"place":"wifi"}',
  '{"bridge":1,"place":"wifi"}',
  '{"bridge":"a1b2c3d4","place":"x"}',
])("what another page may have left is none: %s", (left) => {
  const storage = tab();
  keepProgress({ bridge: "a1b2c3d4", place: "wifi" }, () => storage);
  const [key] = storage.kept.keys();
  storage.setItem(key!, left);
  expect(readProgress(() => storage)).toBe(null);
});

test("a browser that keeps nothing has no place, and is not in the way", () => {
  const none = () => {
    throw new DOMException("no", "SecurityError");
  };
  keepProgress({ bridge: "a1b2c3d4", place: "wifi" }, none);
  keepProgress(null, none);
  expect(readProgress(none)).toBe(null);
});
