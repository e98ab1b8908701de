import { expect, test } from "vitest";
import { CodeError } from "../protocol/codes.ts";
import { texts } from "../texts.ts";
import { anonymous, barsOf, codeTrouble, deviceName, failureWords, signalOf } from "./words.ts";

const t = texts.firstMinute;

test("what is wrong with a code is said of it", () => {
  expect(codeTrouble(new CodeError("length", "code", 27, 26))).toBe("26 of 27 signs: some are missing.");
  expect(codeTrouble(new CodeError("length", "code", 27, 28))).toContain("28 signs: a code has 27.");
  expect(codeTrouble(new CodeError("symbol", "code", 27, 27, 3))).toContain("Sign 3 is none");
  expect(codeTrouble(new CodeError("link", "code"))).toBe(t.codeLink);
  for (const error of [new CodeError("check", "code"), new CodeError("padding", "invite"), new Error()])
    expect(codeTrouble(error)).toBe(t.codeCheck);
});

test("bars are full at what phones show, about, and have words", () => {
  expect([-100, -86, -85, -76, -75, -68, -67, -56, -55, 0].map(barsOf)).toEqual([0, 0, 1, 1, 2, 2, 3, 3, 4, 4]);
  expect(signalOf({ ssid: "Dorm", rssi: -85, security: "psk" })).toBe("weak signal");
  expect(t.signal.length).toBe(5);
});

test("how joining ended has its own words, and what nobody knows the plain ones", () => {
  const own = ["wrong-key", "wrong-login", "no-network", "no-dhcp", "unusable-address", "failed", "late"] as const;
  expect(new Set(own.map((state) => failureWords(state).what)).size).toBe(own.length);
  for (const state of own) expect(failureWords(state)).toBe(t.joinFailed[state]);
  for (const state of ["lost", "no-cable", "toString"] as const)
    expect(failureWords(state as "lost")).toBe(t.joinFailed.failed);
});

test("of a user's name everybody hears only where the login is known", () => {
  expect(anonymous("ada@example.edu")).toBe("anonymous@example.edu");
  expect(anonymous("a@b@example.edu")).toBe("anonymous@example.edu");
  expect(anonymous("ada")).toBe("ada");
});

test("a device is called what its browser says it is", () => {
  // Android's says Linux, too, and Chrome's on an iPhone "like Mac OS X".
  expect(deviceName("Mozilla/5.0 (Linux; Android 16; Pixel 9) Chrome/150")).toBe("Android phone");
  expect(deviceName("Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X)")).toBe("iPhone");
  expect(deviceName("Mozilla/5.0 (X11; CrOS x86_64) Chrome/150")).toBe("Chromebook");
  expect(deviceName("Mozilla/5.0 (X11; Linux x86_64) Chrome/150")).toBe("Linux computer");
  expect(deviceName("")).toBe("Phone");
});
