import { expect, test } from "vitest";
import type { Uplink, UplinkState } from "../protocol/types.ts";
import { Attempt, BEGUN } from "./attempt.ts";

const at = (ssid: string, state: UplinkState, failed?: { ssid: string; state: UplinkState }): Uplink => ({
  state,
  ssid,
  addr: null,
  mask: null,
  router: null,
  ...(failed && { failed }),
});
/** The attempt to join "New", told each of these in turn, 1 s apart unless it says otherwise. */
const outcomes = (...told: (Uplink | [Uplink, number])[]) => {
  const attempt = new Attempt("New");
  return told.map((one, n) => (Array.isArray(one) ? attempt.outcome(...one) : attempt.outcome(one, 1000 * n)));
};

test("it ends when the bridge is up there", () => {
  expect(outcomes(at("", "off"), at("New", "joining"), at("New", "up"))).toEqual([null, null, "up"]);
});

test.each(["wrong-key", "wrong-login", "no-network", "no-dhcp", "unusable-address", "failed"] as const)(
  "it ends with %s",
  (state) => {
    expect(outcomes(at("New", "joining"), at("New", state))).toEqual([null, state]);
  },
);

test("where the bridge is before it has begun is no end", () => {
  expect(outcomes(at("Old", "up"), at("Old", "wrong-key"), at("New", "joining"))).toEqual([null, null, null]);
});

test("back on another network it has failed, for the reason that the bridge tells", () => {
  const failed = { ssid: "New", state: "wrong-key" } as const;
  expect(outcomes(at("New", "joining"), at("Old", "joining", failed))).toEqual([null, "wrong-key"]);
  expect(outcomes(at("New", "joining"), at("Old", "up"))).toEqual([null, "failed"]);
  expect(outcomes(at("New", "joining"), at("Old", "up", { ssid: "Other", state: "no-dhcp" }))).toEqual([
    null,
    "failed",
  ]);
});

test("a failure of an attempt before counts only once this one must have begun", () => {
  const old = at("Old", "up", { ssid: "New", state: "wrong-key" });
  expect(outcomes([old, 0], [old, BEGUN - 1], [old, BEGUN])).toEqual([null, null, "wrong-key"]);
});
