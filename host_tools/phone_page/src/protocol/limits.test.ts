import { describe, expect, test } from "vitest";
import { isLoginText, isMac, isName, isSsid, isWifiKey, tidyMac } from "./limits.ts";

describe("bounds of SPEC 2.4", () => {
  test("names", () => {
    expect([isName(""), isName("a"), isName("é".repeat(32)), isName("a".repeat(33))]).toEqual([
      false,
      true,
      true,
      false,
    ]);
  });
  test("networks' names count in bytes, keys in characters of ASCII", () => {
    expect([isSsid(""), isSsid("é".repeat(16)), isSsid("é".repeat(17))]).toEqual([false, true, false]);
    expect(["a".repeat(7), "a".repeat(8), "a".repeat(63), "a".repeat(64), "ümlaut key"].map(isWifiKey)).toEqual([
      false,
      true,
      true,
      false,
      false,
    ]);
  });
  test("MACs: a machine's, as people type them", () => {
    expect(isMac(tidyMac(" 02-00-00-00-42-2A "))).toBe(true);
    expect([isMac("03:00:00:00:42:20"), isMac("02:00:00:00:42"), isMac("02:00:00:00:42:2g")]).toEqual([
      false,
      false,
      false,
    ]);
  });
  test("logins count in bytes", () => {
    expect(["", "a", "é".repeat(32), "é".repeat(33)].map(isLoginText)).toEqual([false, true, true, false]);
  });
});
