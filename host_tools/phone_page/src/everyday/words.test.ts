import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { Uplink } from "../protocol/types.ts";
import { named, texts } from "../texts.ts";
import { status, known } from "./testing/fake.tsx";
import {
  bluetoothSentence,
  clock,
  hostTrouble,
  kept,
  logLine,
  serviceTrouble,
  speakerSentence,
  standing,
  uplinkSentences,
  whoIsIn,
} from "./words.ts";

const t = texts.everyday;
const at = (day: number, hour: number, minute = 0) => new Date(2026, 10, day, hour, minute).getTime();

describe("when", () => {
  test("a clock has its day where it is not today", () => {
    expect(clock(at(22, 21, 40), at(22, 9))).toMatch(/^0?9:40.PM$|^21:40$/);
    expect(clock(at(23, 0, 5), at(22, 23, 59))).toMatch(/^tomorrow, /);
    expect(clock(at(24, 8), at(22, 23))).toMatch(/^Tue /);
    expect(clock(at(21, 8), at(22, 1))).toMatch(/^Sat /);
  });
  test("in, was in, never in", () => {
    const now = at(22, 12);
    expect(standing(now + 1, now).state).toBe("in");
    expect(standing(now, now).state).toBe("was");
    expect(standing(0, now)).toEqual({ state: "out", clock: "" });
  });
  test.each([
    [0, "0 seconds"],
    [1, "1 second"],
    [119, "119 seconds"],
    [120, "2 minutes"],
    [5399, "89 minutes"],
    [5400, "2 hours"],
    [172799, "48 hours"],
    [172800, "2 days"],
  ])("%i s are %s", (s, words) => expect(t.span(s)).toBe(words));
});

describe("the dorm's side", () => {
  const uplink = (more: Partial<Uplink>): Uplink => ({ ...status().uplink, ...more });
  test("every state of SPEC 2.4 has words, for Wi-Fi and for cable", () => {
    for (const state of [
      "off",
      "joining",
      "up",
      "lost",
      "wrong-key",
      "wrong-login",
      "no-network",
      "no-dhcp",
      "unusable-address",
      "failed",
    ] as const) {
      const [said] = uplinkSentences(uplink({ state }), "owner", false);
      expect(said!.what).not.toContain("{");
      expect(said!.what).not.toContain(state === "up" ? "“" : `“${state}”`);
    }
    for (const state of ["joining", "up", "lost", "no-cable", "no-dhcp", "unusable-address"] as const) {
      expect(uplinkSentences(uplink({ state, ssid: "" }), "guest", true)[0]!.what).toContain("cable");
    }
  });
  test("a network's name is only a name", () => {
    expect(uplinkSentences(uplink({ ssid: "$& {net}" }), "owner", false)[0]!.what).toBe(
      `The bridge is on ${named("$& {net}")}.`,
    );
    expect(uplinkSentences(uplink({ state: "lost", ssid: "dorm" }), "owner", false)[0]!.what).toMatch(
      /^\u2068dorm\u2069 is/,
    );
  });
  test("who cannot do it is told who can", () => {
    const wrong = uplink({ state: "wrong-key" });
    expect(uplinkSentences(wrong, "owner", false)[0]!.next).toContain("Join it again");
    expect(uplinkSentences(wrong, "guest", false)[0]!.next).toContain("owner");
  });
  test("what failed before is told, but not when that is over", () => {
    const failed = { ssid: "Cafe", state: "wrong-key" as const };
    expect(uplinkSentences(uplink({ failed }), "owner", false)).toHaveLength(2);
    expect(uplinkSentences(uplink({ failed: { ...failed, ssid: "Dorm" } }), "owner", false)).toHaveLength(1);
    expect(uplinkSentences(uplink({ state: "wrong-key", ssid: "Cafe", failed }), "owner", false)).toHaveLength(1);
  });
  test("a state of a newer firmware is shown as it is", () => {
    expect(uplinkSentences(uplink({ state: "constructor" as never }), "owner", false)[0]!.what).toContain(
      "constructor",
    );
  });
});

test("the speaker: there, or what to do, by role", () => {
  const of = (segment: object, ethernet: "segment" | null = null) =>
    speakerSentence({ ...status(), ethernet, segment: { ...status().segment, ...segment } }, "owner");
  expect(of({}).there).toBe(true);
  expect(of({ there: false })).toEqual({ what: t.speakerAway, next: t.speakerAwayNext, there: false });
  const away = { speaker: null, addr: null };
  expect(of({ ...away, state: "set-up" }).next).toBe(t.speakerSetUpOwner);
  expect(of({ ...away, state: "undecided" }).next).toBe(t.speakerUndecidedOwner);
  expect(of(away, "segment").what).toBe(t.speakerNoneCable);
  expect(of(away).next).toBe(t.speakerNoneOwner);
  expect(speakerSentence({ ...status(), segment: { ...status().segment, ...away } }, "guest").next).toBe(
    t.speakerNoneGuest,
  );
});

test("Bluetooth, and for how long", () => {
  expect(bluetoothSentence({ state: "closed", left_s: null })).toBe("Off.");
  expect(bluetoothSentence({ state: "window", left_s: 90 })).toContain("For another 90 seconds.");
  expect(bluetoothSentence({ state: "toString", left_s: null })).toContain("toString");
});

test("who is in: this phone first, others by name, strangers to a guest without one", () => {
  const lease = { addr: "10.0.0.1", mac: null, by: "address" as const, left_s: 60 };
  const leases = [
    { ...lease, phone: "zz" },
    { ...lease, phone: "bb", mac: "02:00:00:00:00:01", by: "mac" as const },
    { ...lease, phone: "me" },
  ];
  const guests = whoIsIn(
    leases,
    new Map([
      ["me", "Me"],
      ["bb", "Bob"],
    ]),
    "me",
    1000,
  );
  expect(guests.map(({ name }) => name)).toEqual(
    ["Me", t.anotherPhone, "Bob"].sort((a, b) => Number(b === "Me") - Number(a === "Me") || a.localeCompare(b)),
  );
  expect(guests[0]).toMatchObject({ own: true, until: 61_000, where: `10.0.0.1, ${t.byAddress}` });
});

test("a status is kept: where, and until when; an uplink that is down keeps the address from before", () => {
  const lease = { phone: known().phone, addr: "10.66.1.5", mac: null, by: "address" as const, left_s: 60 };
  expect(kept(known(), status({ leases: [lease] }), 1000)).toEqual({
    addr: "10.66.1.161",
    ssid: "Dorm",
    inUntil: 61_000,
  });
  const lost = status({ uplink: { ...status().uplink, state: "lost", addr: null } });
  expect(kept(known(), lost, 1000)).toEqual({ inUntil: 0 });
});

describe("bounds of SPEC 2.4", () => {
  test("services", () => {
    const seven = Array.from({ length: 7 }, (_, k) => `tcp/${k + 1}`);
    expect(serviceTrouble("udp/65535", seven)).toBe("");
    expect(serviceTrouble("tcp/8", [...seven, "tcp/9"])).toBe(t.serviceFull);
    expect(serviceTrouble("tcp/7", seven)).toBe(t.serviceTwice);
    expect(serviceTrouble("tcp/7780", [])).toBe(t.serviceOwn);
    for (const wrong of ["tcp/0", "tcp/65536", "tcp/01", "1400", "icmp/1", "tcp/1400 "]) {
      expect(serviceTrouble(wrong, [])).toBe(t.serviceWrong);
    }
  });
  test("hosts", () => {
    const seven = Array.from({ length: 7 }, (_, k) => `10.0.0.${k + 1}`);
    expect(hostTrouble("10.0.0.255", seven)).toBe("");
    expect(hostTrouble("10.0.0.8", [...seven, "10.0.0.9"])).toBe(t.hostFull);
    expect(hostTrouble("10.0.0.1", seven)).toBe(t.hostTwice);
    for (const wrong of ["10.0.0.256", "10.0.0", "010.0.0.1", "nas"]) expect(hostTrouble(wrong, [])).toBe(t.hostWrong);
  });
});

test("a line of the log has a clock, and names in the place of ids", () => {
  const names = new Map([["00112233445566bb", "Grace"]]);
  expect(logLine("[3725004] operations: phone 00112233445566bb is shut out", names)).toEqual({
    at: "1:02:05",
    what: `operations: phone ${named("Grace")} is shut out`,
  });
  expect(logLine("[1] x: phone 00112233445566cc", names).what).toContain("00112233445566cc");
  expect(logLine("without a time", names)).toEqual({ at: "", what: "without a time" });
});

test("the reasons are in the words of the command", () => {
  const source = readFileSync(new URL("../../../speakeasy/reasons.py", import.meta.url), "utf8");
  const theirs = Object.fromEntries(
    [...source.matchAll(/^ {4}"(drop_\w+)": "(.*)",$/gm)].map(([, name, words]) => [name, words]),
  );
  expect(Object.keys(theirs).length).toBeGreaterThan(50);
  expect(t.reasons).toEqual(theirs);
});
