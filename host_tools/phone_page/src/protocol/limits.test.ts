import { describe, expect, test } from "vitest";
import { isLoginText, isMac, isName, isSsid, isWifiKey, tidyMac } from "./limits.ts";

describe("bounds of SPEC 2.4", () => {
  test("names", () => {
    // In characters, whatever they take.
    const names = ["", "a", "é".repeat(32), "🎵".repeat(32), "a".repeat(33), "🎵".repeat(33)];
    expect(names.map(isName)).toEqual([false, true, true, true, false, false]);
  });
  test("networks' names count in bytes, keys in characters of ASCII", () => {
    expect(["", "é".repeat(16), `a${"é".repeat(16)}`].map(isSsid)).toEqual([false, true, false]);
    const good = ["a".repeat(8), "a".repeat(63), " !~ blank", "~".repeat(8)];
    const bad = ["a".repeat(7), "a".repeat(64), "ümlaut key", "\u007f".repeat(8), "tab\tinside"];
    expect([...good, ...bad].filter(isWifiKey)).toEqual(good);
  });
  test("MACs: a machine's, as people type them", () => {
    expect(isMac(tidyMac(" 02-00-00-00-42-2A "))).toBe(true);
    const mac = "02:00:00:00:42:20";
    const bad = [mac.replace("02", "03"), mac.slice(0, -3), mac.replace("20", "2g"), `${mac}:00`, `${mac}x`, `x${mac}`];
    expect(bad.filter(isMac)).toEqual([]);
  });
  test("logins count in bytes", () => {
    expect(["", "a", "é".repeat(32), `a${"é".repeat(32)}`].map(isLoginText)).toEqual([false, true, true, false]);
  });
});
